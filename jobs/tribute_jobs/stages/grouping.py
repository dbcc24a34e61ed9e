"""Groups of sources for a simulation: similar ones together, and the worthiest split once more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tribute.catalog import SimulationRun
from tribute.cluster import SimulateJob, SketchJob, chunks
from tribute.simulation import Unit, WardTree, ward_tree

if TYPE_CHECKING:
    from tribute_jobs.stages.simulate import Simulations

SKETCHED = 64
"""Sources sketched in one job."""


def group_jobs(simulations: "Simulations", run: SimulationRun) -> tuple[list[SimulateJob], set[str]]:
    """Simulate half of the groups, split the quarter with most money times hidden spread, and plan the parts.

    Returns:
        All jobs of the run, those already done among them, and the ids of the units that are kept.
    """
    names, groups = simulations.context.source_ids(), run.settings.groups
    tree = content_tree(simulations, run)
    nodes = tree.cut(max(2, groups // 2))
    first = simulations.jobs(run, _units(tree, nodes, names), "group", probe=True)
    worth: dict[str, float] = {}
    for row in (row for rows in simulations.submit(first) for row in rows):
        worth[row["unit_id"]] = worth.get(row["unit_id"], 0.0) + row["probe_nats"]
    values = [worth[unit.unit_id] for unit in _units(tree, nodes, names)]
    split = tree.worth_splitting(nodes, values, groups // 4)
    parts = [child for node in split for child in tree.children(node)]
    kept = _units(tree, [node for node in nodes if node not in split] + parts, names)
    second = simulations.jobs(run, _units(tree, parts, names), "split", probe=True) if parts else []
    return [*first, *second], {unit.unit_id for unit in kept}


def content_tree(simulations: "Simulations", run: SimulationRun) -> WardTree:
    """The sources as a tree of groups, by what their gradients look like where the simulation begins."""
    replicate, shards = simulations.replicates[0], simulations.shards
    sources = simulations.context.manifest().sources
    first = simulations.recipe(replicate).horizon_start(run.settings.horizon)
    state = replicate.trajectory.load(replicate.trajectory.last_before(first))
    theta = shards.put(state.theta.numpy())
    jobs = [SketchJob(replicate.seed, chosen) for chosen in chunks(len(sources), SKETCHED)]
    pieces = shards.run(jobs, lambda actor, job: actor.sketch.remote(shards.data, theta, job))
    tokens = np.array([source.tokens for source in sources], dtype=np.float64)
    return WardTree(ward_tree(np.concatenate(pieces), tokens))


def _units(tree: WardTree, nodes: Sequence[int], names: Sequence[str]) -> list[Unit]:
    """The groups as units; one of a single source bears its name."""
    found = [(node, tree.members(node)) for node in nodes]
    return [
        Unit(names[members[0]] if len(members) == 1 else f"group-{node:06d}", members) for node, members in found
    ]
