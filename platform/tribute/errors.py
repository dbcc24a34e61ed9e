"""Every error that tribute raises on purpose, as one tree under `TributeError`."""

from collections.abc import Sequence

__all__ = [
    "BusyError",
    "ConfigError",
    "CorpusChanged",
    "CorpusError",
    "DamagedFile",
    "LedgerError",
    "MachineError",
    "MoneyError",
    "OverloadedError",
    "PolicyError",
    "ProofError",
    "RightsError",
    "SimulationError",
    "TooSlowError",
    "TributeError",
    "ValuationError",
    "itemised",
    "joined",
]


AGAIN = "then run the same command again: finished work is kept"
"""The end of a remedy of a fault that a run survives."""


class TributeError(Exception):
    """Invalid input or a broken contract. The message says what was found, what was expected and the remedy.

    The command line prints the message without a traceback. Programming mistakes raise ordinary exceptions.

    >>> try:
    ...     tribute.Study(task, by_source).attribute(queries)
    ... except tribute.TributeError as error:
    ...     print(error)
    The study is not trained yet. Call study.train() first
    """


class DamagedFile(TributeError):
    """A file that tribute wrote is missing, cut, or not what was written. It has to come from a copy."""


class MachineError(TributeError):
    """Disk, folder, memory, Ray or another service refuses. Mend it, and run the same command again."""


class OverloadedError(MachineError):
    """The service has as many requests as it takes. The same request passes later."""


class TooSlowError(MachineError):
    """The service did not answer in time. Nothing is lost: the same request can be sent again."""


class BusyError(TributeError):
    """Another command is at work, or came first. Nothing was changed."""


class ConfigError(TributeError):
    """`project.yaml` or an option cannot be used as it stands."""


class CorpusError(TributeError):
    """A corpus file, column or row cannot be used as it stands."""


class CorpusChanged(CorpusError):
    """The corpus on disk is not the one that a run id stands for."""


class RightsError(TributeError):
    """A file of rights, agreements or terms does not say who is paid which part, and on what terms."""


class MoneyError(TributeError):
    """A pool, currency or share cannot be divided exactly."""


class LedgerError(TributeError):
    """The ledger does not hang together, or something cannot be posted to it; names the entry."""


class ProofError(TributeError):
    """A key, a bundle or a proof cannot be made or used from what was given."""


class PolicyError(TributeError):
    """A policy contradicts itself, or cannot be kept in a period."""


class SimulationError(TributeError):
    """A training or simulation left the finite numbers; names the source and the step."""


class ValuationError(TributeError):
    """A period cannot be valued from what the lake holds."""


def itemised(headline: str, problems: Sequence[str], most: int = 20) -> str:
    """One message for several problems, a line each below the headline.

    Args:
        most: problems that are listed; the others are counted.
    """
    rest = [f"and {len(problems) - most} more"] if len(problems) > most else []
    return "\n  ".join([headline, *(each.replace("\n", "\n  ") for each in problems[:most]), *rest])


def joined(problems: Sequence[str], headline: str) -> str:
    """One message for several problems, as in `itemised`; one problem stays as it is."""
    return problems[0] if len(problems) == 1 else itemised(headline, problems)
