"""Tables of the documentation from the figures of the benchmark of language models."""

from typing import Any

Figures = dict[str, Any]
COST = (
    "Trainings per replicate at horizon 20 %: the unperturbed run and those without each source. `last_block` is "
    "that of a training of all parameters, `last_block alone` one of the last block, `lora` one of adapters of "
    "rank 16 on every layer."
)
MEMORY = (
    "Memory of eight sources in one worker at its peak, beside the frozen weights, and the file of one response."
)
READOUT = (
    "Forward passes per query for 32 sources, and the largest difference of `shared_head` from `shared_trunk` for "
    "a source. The models are random and their influences near 0, where float32 rounds `shared_trunk` itself. The "
    "`lora` of this table has adapters of rank 8 in the last block."
)


def tables(figures: Figures) -> Figures:
    """`values` and `tables` of docs/benchmarks/language.json."""
    shown = {
        "cost": _cost(figures["simulation_cost_in_trainings"]),
        "memory": _memory(figures["simulation_cost_in_trainings"]),
        "readout": _readout(figures["query_in_forwards"]),
    }
    values = {
        "shape": figures["shape"],
        "batch": figures["batch"],
        "tokens_per_s": f"{figures['tokens_per_s']:.0f}",
    }
    return {"values": values, "tables": shown}


def _cost(costs: Figures) -> Figures:
    counts = [f"{many} sources" for many in costs["lora"]["folded"]]
    rows = [
        [f"`{scope}`", way, *(f"{each:.2f}" for each in row[way].values()), f"{row['per_source'][way]:.3f}"]
        for scope, row in costs.items()
        for way in ("folded", "looped")
    ]
    return _table(COST, ["scope", "trajectories", *counts, "each further source"], rows)


def _memory(costs: Figures) -> Figures:
    rows = []
    for scope, row in costs.items():
        peaks = [f"{row['peak_gib'][way]:.2f}" for way in ("predicted", "found")]
        sizes = [f"{row['response_bytes'][precision] / 2**20:.1f} MiB" for precision in ("float32", "bfloat16")]
        rows.append([f"`{scope}`", *peaks, *sizes])
    columns = ["scope", "GiB predicted", "GiB found", "response, float32", "response, bfloat16"]
    return _table(MEMORY, columns, rows)


def _readout(readouts: Figures) -> Figures:
    ways = [*dict.fromkeys(way for row in readouts.values() for way in row if way != "shared_head_error")]
    rows = [
        [case, *(f"{row[way]:.1f}" if way in row else "" for way in ways), f"{row['shared_head_error']:.1%}"]
        for case, row in readouts.items()
    ]
    return _table(READOUT, ["model, scope", *(f"`{way}`" for way in ways), "difference of `shared_head`"], rows)


def _table(caption: str, columns: list[str], rows: list[list[str]]) -> Figures:
    return {"caption": caption, "columns": columns, "rows": rows}
