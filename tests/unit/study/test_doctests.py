"""The examples in docstrings of the front door run, and say what comes out."""

import doctest
import importlib
import pkgutil

import pytest

import tribute
import tribute.study
from tests.unit.study.conftest import BY_SOURCE, QUERIES, TASK, TRAINING

MODULES = [each.name for each in pkgutil.iter_modules(tribute.study.__path__, "tribute.study.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(study: tribute.Study, name: str) -> None:
    names = {"tribute": tribute, "task": TASK, "by_source": BY_SOURCE, "queries": QUERIES, "training": TRAINING}
    names |= {"study": study}
    found = doctest.testmod(importlib.import_module(name), extraglobs=names)
    assert found.failed == 0
