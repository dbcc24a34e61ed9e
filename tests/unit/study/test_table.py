"""Results as text that fits a terminal."""

from dataclasses import dataclass

import pytest

from tribute.study.table import Result, Row


@dataclass(frozen=True, repr=False)
class Ids(Result):
    """A row per id, with numbers."""

    ids: tuple[str, ...]
    columns: tuple[str, ...] = ("value", "low", "high")

    @property
    def title(self) -> str:
        return "Ids"

    def rows(self) -> list[Row]:
        return [{"id": each} | dict.fromkeys(self.columns, 1234.5) for each in self.ids]


@pytest.mark.parametrize("length", [3, 61, 62, 200])
def test_rows_fit_into_80_columns_and_ids_that_differ_at_the_end_stay_apart(length: int) -> None:
    result = Ids(tuple("x" * (length - 2) + end for end in ("-1", "-2")))
    _, heading, one, other = repr(result).splitlines()
    assert len(heading) == len(one) == len(other) <= 80
    assert one != other
    assert ("…" in one) == (length > 80 - len("  value  1234  1234"))
    assert one.endswith("1234  1234  1234")
    assert result.to_pandas()["id"][0] == result.ids[0]


def test_long_headings_are_cut_and_an_id_keeps_twelve_characters() -> None:
    result = Ids(("y" * 50,), tuple(f"{'z' * 40}-{n}" for n in range(9)))
    _, heading, row = str(result).splitlines()
    assert row.split()[0] == "y" * 7 + "…" + "y" * 4
    assert [name[-2:] for name in heading.split()[1:]] == [f"-{n}" for n in range(9)]
    assert {len(name) for name in heading.split()[1:]} == {20}


def test_without_rows_the_title_stands_alone() -> None:
    assert str(Ids(())) == "Ids"
