"""Files called after ids: one file an id, in its folder, whatever the file system."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_ids import IDS
from tribute_storage.file_names import file_stem


@given(IDS)
def test_a_file_called_after_an_id_stays_in_its_folder(name: str) -> None:
    for suffix in (".json", ".safetensors", "-EUR.pdf"):
        path = Path("folder") / (file_stem(name) + suffix)
        assert path.parent == Path("folder") and ".." not in path.parts
        assert not set('/\\:*?"<>|\0') & set(path.name)
        assert not path.name.startswith(".") and path.stem.partition(".")[0].lower() not in ("con", "nul", "lpt1")
        assert len(f".{path.name}.{'0' * 32}".encode()) <= 255, "also while it is written"


LETTERS = st.text("abABXx-.%=/é", min_size=1, max_size=200)


@given(st.one_of(IDS, LETTERS), st.one_of(IDS, LETTERS))
def test_two_ids_share_no_file_even_where_case_is_ignored(one: str, other: str) -> None:
    assert (file_stem(one).lower() == file_stem(other).lower()) == (one == other)


@given(st.one_of(IDS, LETTERS))
def test_another_case_of_an_id_has_a_file_of_its_own(name: str) -> None:
    cases = {name, name.lower(), name.upper(), name.swapcase(), name.capitalize(), name.title()}
    assert len({file_stem(each).lower() for each in cases}) == len(cases)


@pytest.mark.parametrize("name", ["planet", "python-stdlib", "mike bayer", "a.b", "r&d (x), y=1+2@z", "x" * 180])
def test_plain_ids_name_their_files(name: str) -> None:
    assert file_stem(name) == name


@pytest.mark.parametrize(
    ("name", "stem"), [("Mike Bayer", "Mike Bayer%=21"), ("CON", "CON%=7"), ("AC/DC", "AC%2FDC%=1b")]
)
def test_capitals_are_told_by_their_places(name: str, stem: str) -> None:
    assert file_stem(name) == stem
