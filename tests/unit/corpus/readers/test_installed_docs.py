"""The embedded corpus: real metadata, bounded, deterministic, and nothing imported."""

import sys
from email.message import Message

import pytest

from tribute.config import InstalledDocsSettings
from tribute.corpus import read_corpus
from tribute.corpus.readers.distributions import license_expression, publisher
from tribute.corpus.readers.docstrings import documentation, is_documentation
from tribute.corpus.readers.installed_docs import Candidate, choose, quotas
from tribute.corpus.sources import Source

SETTINGS = InstalledDocsSettings(kind="installed_docs", max_bytes=200_000)


def metadata(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Author": "Ada Lovelace, Charles Babbage"}, "Ada Lovelace"),
        ({"Author_email": '"The Engine Team" <team@example.org>, x@example.org'}, "The Engine Team"),
        ({"Author_email": "nobody@example.org", "Maintainer": "Grace"}, "Grace"),
        ({"Author": "UNKNOWN"}, None),
        ({}, None),
    ],
)
def test_the_publisher_is_who_the_metadata_name_first(fields: dict, expected: str | None) -> None:
    assert publisher(metadata(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"License_Expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause"),
        ({"License": "a licence of our own"}, "NOASSERTION"),
        ({"Classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"Classifier": ["License :: OSI Approved :: BSD License"]}, "NOASSERTION"),
        ({}, "NOASSERTION"),
    ],
)
def test_a_licence_is_recorded_only_where_the_metadata_assert_one(fields: dict, expected: str) -> None:
    assert license_expression(metadata(**fields)) == expected


def test_docstrings_are_read_without_running_the_module() -> None:
    code = (
        b'"""Module."""\nraise SystemExit\nclass A:\n    """Class."""\n    def f(self):\n        """Method."""\n'
    )
    assert documentation("a.py", code) == "Module.\n\nClass.\n\nMethod."
    assert documentation("broken.py", b"def (") == ""
    assert documentation("README.md", b" # Title \n") == "# Title"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("numpy/core.py", True),
        ("numpy/README.md", True),
        ("numpy/tests/test_core.py", False),
        ("numpy-2.dist-info/LICENSE.txt", False),
        ("numpy/data.json", False),
        ("pip/_vendor/rich/text.py", False),
    ],
)
def test_which_files_are_documentation(path: str, expected: bool) -> None:
    assert is_documentation(path) is expected


def test_the_largest_are_chosen_with_enough_publishers() -> None:
    sizes = {"a": 100, "b": 90, "c": 80} | {f"other{n}": 10 - n for n in range(9)}
    candidates = [
        Candidate(Source(name, name, "one" if name in "abc" else name), (), size) for name, size in sizes.items()
    ]
    chosen = choose(candidates, 10)
    assert len({candidate.source.publisher for candidate in chosen}) >= 8
    assert {"a", "b"} <= {candidate.source.source_id for candidate in chosen}
    assert sum(quotas([900, 90, 10], 1000)) <= 1000
    assert quotas([900, 90, 10], 1000)[2] >= 28


def test_the_corpus_is_real_bounded_and_the_same_twice() -> None:
    modules = set(sys.modules)
    corpus = read_corpus(SETTINGS)
    assert corpus.sha256 == read_corpus(SETTINGS).sha256
    assert not {"sympy", "networkx"} & (set(sys.modules) - modules)
    assert len(corpus.sources) == 10
    assert len({each.source.publisher for each in corpus.sources}) >= 8
    assert "python-stdlib" in {each.source.source_id for each in corpus.sources}
    assert "tribute" not in {each.source.source_id for each in corpus.sources}
    assert sum(document.bytes for each in corpus.sources for document in each.documents) <= SETTINGS.max_bytes
    for each in corpus.sources:
        assert each.source.version
        assert each.source.license
        assert len(each.train["tokens"])
        assert len(each.held_out["tokens"])
        assert all(len(document.sha256) == 64 for document in each.documents)
        held_out = sum(document.bytes for document in each.documents if document.held_out)
        assert 0 < held_out <= 2 * SETTINGS.held_out * sum(document.bytes for document in each.documents)
    assert list(corpus.inputs) == ["installed distributions"]
