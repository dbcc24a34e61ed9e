"""Drawn projects end right or refused; a fault in the product is noticed within 100 seeds."""

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from torch import Tensor

from tests.fuzz.corpus.corpora import TextCorpus
from tests.fuzz.drawing import PARTS, WHOLE, drawn_parts, faulty_part
from tests.fuzz.judging import judged, judged_part
from tests.fuzz.part import Part
from tests.fuzz.run import figures_of
from tests.fuzz.study.tasks import SHAPES
from tests.fuzz.study.trained import TrainedStudy
from tribute.cluster import simulate
from tribute.corpus import reading
from tribute.corpus.sources import Document
from tribute.royalty.division import allocation
from tribute.royalty.exact import money
from tribute.tasks.contract.function import Function
from tribute.tasks.frozen import PartlyFrozen, under_seed

SEEDS, QUICK, WITHIN = 25, 12, 100


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.slow if seed >= QUICK else ()) for seed in range(SEEDS)]
)
def test_a_drawn_project_ends_right_or_refused(seed: int) -> None:
    outcome = judged(seed)
    assert outcome.failures == []
    assert (outcome.end == "refused") == bool(outcome.faults)


def noticed(
    part: str, fits: Callable[[Part], bool] = lambda _: True, within: int = WITHIN
) -> tuple[int, str, str]:
    """The first seed whose part does not end well, its end, and what was found."""
    for seed in range(within):
        for name, drawn in drawn_parts(seed, (part,)):
            if name == part and fits(drawn):
                with tempfile.TemporaryDirectory() as root:
                    end, found = judged_part(drawn, Path(root))
                if end not in ("right", "refused"):
                    return seed, end, found
    raise AssertionError(f"nothing is noticed in {within} seeds")


def test_a_contract_without_the_check_of_shapes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def values(self: Function, pieces: dict, batch: dict, torch_seed: int = 0, other_seed: int = 0) -> Tensor:
        with under_seed(torch_seed, other_seed):
            return self.of(pieces, batch)

    monkeypatch.setattr(Function, "values", values)
    _, end, found = noticed("study", lambda part: bool({part.fault, getattr(part, "also", "")} & {*SHAPES}))
    assert end in ("wrong", "tracebacks"), found


def of_frozen(part: Part) -> bool:
    return getattr(part, "again", False)


def test_a_digest_without_the_frozen_part_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PartlyFrozen, "frozen_sha256", "")
    _, end, _ = noticed("study", of_frozen)
    assert end == "wrong"


def test_a_frozen_part_that_is_not_loaded_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PartlyFrozen, "with_frozen", lambda self, _: self)
    _, end, found = noticed("study", of_frozen)
    assert end == "wrong" and "measured" in found


def whole_documents(documents: Sequence[Document], part: float, _: int) -> tuple[list[Document], list[Document]]:
    """Every n-th document is held out, whatever its size."""
    every = round(1 / part) if part else len(documents) + 1
    held = [document for number, document in enumerate(documents) if number % every == 0]
    return [document for document in documents if document not in held], held


REAL_SPLIT = reading.split_documents


@pytest.mark.parametrize(
    "split",
    [
        whole_documents,
        lambda documents, part, window: REAL_SPLIT(documents, part / 3, window),
        lambda documents, part, window: REAL_SPLIT(documents, min(2.5 * part, 0.9), window),
    ],
    ids=["whole documents", "a third of the part", "two and a half parts"],
)
def test_another_held_out_split_is_noticed(monkeypatch: pytest.MonkeyPatch, split: Callable) -> None:
    monkeypatch.setattr(reading, "split_documents", split)
    _, end, found = noticed("corpus", lambda part: isinstance(part, TextCorpus) and part.held_out > 0)
    assert end == "wrong" and ("held out" in found or "refused" in found)


def test_ids_as_file_names_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "file_stem", lambda name: name)

    def climbs(part: Part) -> bool:
        return isinstance(part, TrainedStudy) and any(
            name.startswith("../../../../../") for name in part.world.by_source
        )

    assert noticed("study", climbs)[1] == "outside_folder"
    assert noticed("study", lambda part: isinstance(part, TrainedStudy) and not part.fault)[1] != "right"


def test_another_rounding_of_money_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_name(pool: int, shares: dict) -> dict:
        paid = {name: int(pool * share) for name, share in sorted(shares.items())}
        first = next(iter(paid))
        return paid | {first: paid[first] + pool - sum(paid.values())}

    monkeypatch.setattr("tribute.royalty.statement.build.allocate", by_name)
    assert noticed("accounts")[1] == "wrong"


def test_a_share_that_ignores_the_cap_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "limited", lambda shares, *_: dict(shares))
    assert noticed("accounts")[1] == "wrong"


def test_amounts_with_marks_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`int` takes `1_000` and digits of other scripts."""
    monkeypatch.setattr("tribute.config.money._AMOUNT", re.compile(r"[\d_]+(\.[\d_]+)?"))
    monkeypatch.setattr(money, "_PLAIN", re.compile(money._PLAIN.pattern.replace("[0-9]", r"[\d_]")))
    assert noticed("settings", lambda part: "amount" in part.fault, 10 * WITHIN)[1] == "wrong"


def test_most_draws_are_right_and_every_part_is_at_fault_in_some() -> None:
    faulty = Counter(faulty_part(seed) for seed in range(500))
    assert faulty[""] > 0.68 * 500
    assert set(faulty) - {WHOLE} == {"", *PARTS}


def test_a_seed_draws_the_same_project_whatever_else_is_drawn() -> None:
    for seed in range(20):
        whole = {name: (part.kinds, part.fault) for name, part in drawn_parts(seed)}
        for name in PARTS:
            [(_, alone)] = drawn_parts(seed, (name,))
            assert (alone.kinds, alone.fault) == whole[name]


def test_figures_name_what_failed_and_how_to_replay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tribute.royalty.statement.build.allocate", lambda pool, shares: dict.fromkeys(shares, pool)
    )
    outcomes = [judged(seed, ("accounts",)) for seed in range(12)]
    figures = figures_of(outcomes, 1.0)
    assert figures["cases"] == 12 == sum(figures[end] for end in ("right", "refused", "wrong"))
    assert figures["wrong"] == len(figures["failures"]) > 0
    first = figures["failures"][0]
    assert first["replay"] == f"make fuzz SEEDS=1 START={first['seed']}" and "amounts" in first["found"]
