"""Publishers and licences from metadata: what they assert, and no more."""

from email.message import Message
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from tribute.corpus.readers.distributions import STANDARD_LIBRARY, describe, license_expression, publisher
from tribute.corpus.sources import Source

APACHE = "License :: OSI Approved :: Apache Software License"
MIT = "License :: OSI Approved :: MIT License"
BSD = "License :: OSI Approved :: BSD License"


def metadata(*fields: tuple[str, str]) -> Message:
    message = Message()
    for name, value in fields:
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Author", "Ada Lovelace")], "Ada Lovelace"),
        ([("Author-email", "Ada Lovelace <ada@example.org>")], "Ada Lovelace"),
        ([("Author-email", "Ada L <ada@example.org>, Charles B <cb@example.org>")], "Ada L"),
        ([("Author-email", "ada@example.org"), ("Maintainer", "The Team")], "The Team"),
        ([("Maintainer-email", '"The Team" <team@example.org>')], "The Team"),
        ([("Author-email", '"Lovelace, Ada" <ada@example.org>')], "Lovelace, Ada"),
        ([("Author", "UNKNOWN"), ("Maintainer", "The Team")], "The Team"),
        ([("Author", "Ada L"), ("Maintainer", "The Team")], "Ada L"),
        ([("Author-email", "ada@example.org")], None),
        ([], None),
    ],
)
def test_the_publisher_is_the_first_one_named(fields: list[tuple[str, str]], expected: str | None) -> None:
    assert publisher(metadata(*fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "MIT OR Apache-2.0")], "MIT OR Apache-2.0"),
        ([("License-Expression", "MIT"), ("License", "BSD-3-Clause")], "MIT"),
        ([("License", "BSD-3-Clause")], "BSD-3-Clause"),
        ([("License", "BSD"), ("Classifier", BSD)], "NOASSERTION"),
        ([("License", "see LICENSE"), ("Classifier", MIT)], "MIT"),
        ([("Classifier", APACHE)], "Apache-2.0"),
        ([("Classifier", APACHE), ("Classifier", MIT)], "NOASSERTION"),
        ([("Classifier", APACHE), ("Classifier", BSD)], "NOASSERTION"),
        ([("License", "Copyright by us. " * 50)], "NOASSERTION"),
        ([], "NOASSERTION"),
    ],
)
def test_a_licence_is_asserted_only_where_it_is_exact(fields: list[tuple[str, str]], expected: str) -> None:
    assert license_expression(metadata(*fields)) == expected


def test_a_distribution_without_author_publishes_itself(tmp_path: Path) -> None:
    folder = tmp_path / "Some_Thing-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.2\nLicense: MIT\n")
    expected = Source("some-thing", "Some_Thing", "Some_Thing", "1.2", "MIT")
    assert describe(PathDistribution(folder)) == expected


def test_the_standard_library_has_a_publisher() -> None:
    assert STANDARD_LIBRARY.publisher == "Python Software Foundation"
    assert STANDARD_LIBRARY.license == "PSF-2.0"
