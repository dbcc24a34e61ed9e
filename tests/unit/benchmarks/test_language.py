"""The benchmark of language models on a tiny one: every figure is there, and memory is as predicted."""

from pathlib import Path

import pytest

pytest.importorskip("transformers")
from tests.benchmarks import language_shapes
from tests.benchmarks.language_cost import SOURCES, Work, costs
from tests.benchmarks.language_readouts import figures
from tests.benchmarks.language_tables import tables


@pytest.mark.slow
def test_every_figure_of_a_tiny_model_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_shapes, "FOLDER", tmp_path)
    found = costs(language_shapes.random_model("tiny"), Work(2, 8, 1))
    assert list(found["simulation_cost_in_trainings"]) == ["last_block", "last_block alone", "lora"]
    for row in found["simulation_cost_in_trainings"].values():
        assert row["peak_gib"]["found"] == pytest.approx(row["peak_gib"]["predicted"], rel=0.2)
        for way in ("folded", "looped"):
            assert list(row[way]) == [str(many) for many in SOURCES] and min(row[way].values()) > 0
    sizes = [row["response_bytes"]["float32"] for row in found["simulation_cost_in_trainings"].values()]
    assert sizes[0] == sizes[1] != sizes[2]
    made = tables(found | {"query_in_forwards": figures(("tiny",))})
    for table in made["tables"].values():
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
