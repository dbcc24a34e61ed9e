"""Training-data valuation that pays: which source's data shaped a model's answers, and what each is owed.

The names below are the front door. They are imported on first use, so that `import tribute` loads nothing else.

>>> study = tribute.Study(
...     MyTask(), by_source, training=tribute.TrainingSettings(optimizer="sgd", epochs=3), replicates=3
... )
>>> report = study.train()                          # or study.record(...), or Study.from_checkpoint(...)
>>> influence = study.attribute(queries)            # [Q, S] with ids; method="paired" | "ekfac" | "trak" | ...
>>> values = study.value(influence, precision=0.05) # with intervals; says what it cost
>>> print(values.shares().allocate("10000.00 EUR")) # doctest: +ELLIPSIS
10,000.00 EUR over 3 payees
payee...
>>> study.evaluate(queries).misallocated_pool < 1   # also LDS and leave-one-out correlation
True
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tribute.client import AsyncClient, Client
    from tribute.config import SimulationSettings, TrainingSettings, ValuationSettings
    from tribute.errors import TributeError
    from tribute.study import (
        Attribution,
        EvaluationReport,
        Payout,
        Shares,
        Study,
        TaskReport,
        Values,
        check_task,
    )
    from tribute.tasks import ByteLm, Classifier, Task
    from tribute.training.trainer import record

__all__ = [
    "AsyncClient",
    "Attribution",
    "ByteLm",
    "Classifier",
    "Client",
    "EvaluationReport",
    "Payout",
    "Shares",
    "SimulationSettings",
    "Study",
    "Task",
    "TaskReport",
    "TrainingSettings",
    "TributeError",
    "ValuationSettings",
    "Values",
    "__version__",
    "check_task",
    "record",
]

_ROOMS = {
    "tribute.client": ("AsyncClient", "Client"),
    "tribute.config": ("SimulationSettings", "TrainingSettings", "ValuationSettings"),
    "tribute.errors": ("TributeError",),
    "tribute.study": (
        *("Attribution", "EvaluationReport", "Payout", "Shares", "Study", "TaskReport", "Values"),
        "check_task",
    ),
    "tribute.tasks": ("ByteLm", "Classifier", "Task"),
    "tribute.training.trainer": ("record",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, imported from its room on first use."""
    if name == "__version__":
        return version("tribute")
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(_ROOM_OF[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
