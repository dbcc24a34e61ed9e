"""Groups of sources for a simulation: similar sources together, and the most valuable groups split once more."""

from collections.abc import Sequence

import numpy as np

from tribute.catalog import SimulationRun
from tribute.cluster import SimulateJob, SketchJob, chunks
from tribute.simulation import Unit, WardTree, ward_tree
from tribute_jobs.compute.simulation import SimulationJobs

SKETCHED = 64
"""Sources sketched in one job."""


def group_jobs(simulation: SimulationJobs, run: SimulationRun) -> tuple[list[SimulateJob], set[str]]:
    """Simulate half of the groups, split the quarter with most value times hidden spread, and plan the parts.

    Returns:
        All jobs of the run, including finished ones, and the ids of the units that the run keeps.
    """
    names, groups = simulation.context.source_ids(), run.settings.groups
    tree = content_tree(simulation, run)
    nodes = tree.cut(max(2, groups // 2))
    first = simulation.plan(run, _units(tree, nodes, names), "group", probe=True)
    value: dict[str, float] = {}
    for row in (row for rows in simulation.run(first) for row in rows):
        value[row["unit_id"]] = value.get(row["unit_id"], 0.0) + row["probe_nats"]
    values = [value[unit.unit_id] for unit in _units(tree, nodes, names)]
    split = tree.worth_splitting(nodes, values, groups // 4)
    parts = [child for node in split for child in tree.children(node)]
    kept = _units(tree, [node for node in nodes if node not in split] + parts, names)
    second = simulation.plan(run, _units(tree, parts, names), "split", probe=True) if parts else []
    return [*first, *second], {unit.unit_id for unit in kept}


def content_tree(simulation: SimulationJobs, run: SimulationRun) -> WardTree:
    """The sources as a tree of groups, by their gradients where the simulation begins."""
    replicate, sources = simulation.replicates[0], simulation.context.manifest().sources
    first = simulation.recipe(replicate).horizon_start(run.settings.horizon)
    trajectory, step = replicate.trajectory, replicate.trajectory.last_before(first)
    jobs = [SketchJob(replicate.seed, trajectory, step, chosen) for chosen in chunks(len(sources), SKETCHED)]
    pieces = simulation.context.run_jobs("sketched sources", jobs, lambda actor, job: actor.sketch.remote(job))
    tokens = np.array([source.tokens for source in sources], dtype=np.float64)
    return WardTree(ward_tree(np.concatenate(pieces), tokens))


def _units(tree: WardTree, nodes: Sequence[int], names: Sequence[str]) -> list[Unit]:
    """The groups as units. A group of one source has the source's name."""
    members = {node: tree.members(node) for node in nodes}
    return [
        Unit(names[group[0]] if len(group) == 1 else group_id(node, names), group)
        for node, group in members.items()
    ]


def group_id(node: int, names: Sequence[str]) -> str:
    """The id of a group of sources, which no source has."""
    name = f"group-{node:06d}"
    while name in names:
        name += "+"
    return name
