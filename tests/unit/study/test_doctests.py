"""The docstring examples of the public API run and give the output they show."""

import doctest

import numpy
import pytest
import torch

import tribute
from tests.unit.study.conftest import BY_SOURCE, EACH_SEED, QUERIES, TASK


class MyTask(tribute.Classifier):
    """The task of the first program that a reader sees."""

    def __init__(self) -> None:
        super().__init__(features=64, hidden=(8,))


@pytest.mark.parametrize("name", [*sorted(set(tribute.__all__) - {"__version__"}), "tribute"])
def test_examples_in_docstrings_run(study: tribute.Study, name: str) -> None:
    names = {"tribute": tribute, "task": TASK, "by_source": BY_SOURCE, "queries": QUERIES, "training": EACH_SEED}
    names |= {"study": study, "MyTask": MyTask, "torch": torch, "numpy": numpy}
    shown = tribute if name == "tribute" else getattr(tribute, name)
    [test] = doctest.DocTestFinder(recurse=False).find(shown, name, globs=names)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
