"""Every error that tribute raises on purpose, as one tree under `TributeError`."""

from tribute_storage.errors import LakeError, TributeError

__all__ = [
    "ConfigError",
    "CorpusChanged",
    "CorpusError",
    "LakeError",
    "MoneyError",
    "RightsError",
    "SimulationError",
    "TributeError",
    "ValuationError",
]


class ConfigError(TributeError):
    """`project.yaml` or an option cannot be used as it stands."""


class CorpusError(TributeError):
    """A corpus file, column or row cannot be used as it stands."""


class CorpusChanged(CorpusError):
    """The corpus on disk is not the one that a recorded trajectory was trained on."""


class RightsError(TributeError):
    """The sources file does not say, for every source and day, who is paid which part."""


class MoneyError(TributeError):
    """A pool, currency or share cannot be divided exactly."""


class SimulationError(TributeError):
    """A training or simulation left the finite numbers; names the source and the step."""


class ValuationError(TributeError):
    """A period cannot be valued from what the lake holds."""
