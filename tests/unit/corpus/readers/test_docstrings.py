"""Docstrings that count as documentation are read without running a module."""

from pathlib import Path

import pytest

from tribute.corpus.readers.docstrings import documentation, is_documentation

MODULE = '''"""About the module."""
import a_package_that_does_not_exist

def one():
    """
    What one does.

        Indented.
    """
    raise SystemExit

async def two():
    """What two does."""

class Three:
    """What three is."""

    def method(self):
        """What its method does."""
        x = "not a docstring"

def silent():
    return "no docstring"
'''


def test_docstrings_of_every_kind_are_taken() -> None:
    found = documentation("m.py", MODULE.encode())
    parts = ["About the module.", "What one does.\n\n    Indented.", "What two does.", "What three is."]
    assert set(found.split("\n\n")) >= {"About the module.", "What two does.", "What three is."}
    assert all(part in found for part in [*parts, "What its method does."])
    assert "not a docstring" not in found
    assert "no docstring" not in found


def test_nothing_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    code = f'"""Text."""\nopen({str(trace)!r}, "w").close()\n'
    assert documentation("m.py", code.encode()) == "Text."
    assert not trace.exists()


def test_prose_is_taken_as_it_is() -> None:
    assert documentation("docs/guide.md", b"\n# Guide\n\nText\n") == "# Guide\n\nText"


@pytest.mark.parametrize("content", [b"def broken(:\n", b"\xff\xfe", b"x = 1\n", b"a\0b"])
def test_what_cannot_be_read_is_empty(content: bytes) -> None:
    assert documentation("m.py", content) == ""


def test_odd_escapes_in_installed_code_do_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    assert documentation("m.py", b'"""Text."""\nx = "\\d"\n') == "Text."
    assert not recwarn.list


@pytest.mark.parametrize("path", ["numpy/linalg/linalg.py", "ray/README.md", "x/docs/a.rst", "x/contest.py"])
def test_modules_and_prose_are_documentation(path: str) -> None:
    assert is_documentation(path)


@pytest.mark.parametrize(
    "path",
    [
        "numpy/tests/test_linalg.py",
        "pip/_vendor/rich/table.py",
        "x-1.0.dist-info/licenses/LICENSE.txt",
        "x-1.0.dist-info/METADATA",
        "x-1.0.dist-info/top_level.txt",
        "x/requirements.txt",
        "x/data.csv",
        "x/module.so",
        "x/__pycache__/m.cpython-311.pyc",
    ],
)
def test_licences_tests_vendored_code_and_data_are_not(path: str) -> None:
    assert not is_documentation(path)
