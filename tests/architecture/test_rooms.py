"""Rooms that can be walked: narrow folders, short classes, no way back to where an import came from."""

from collections import Counter

from tests.architecture.test_layout import ROOT, SOURCES


def test_no_folder_is_wide() -> None:
    modules = Counter(path.parent.relative_to(ROOT) for path in SOURCES if path.name != "__init__.py")
    assert {str(folder): width for folder, width in modules.items() if width > 15} == {}
