"""What a check found: a value, not an error, so that all findings can be read at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from tribute.errors import ConfigError


@dataclass(frozen=True)
class TaskFinding:
    """One thing about a task.

    Args:
        subject: what it is about: build, training_loss, measurement, token_measurement, examples, parameters, or
            a method.
        refused: whether values would be wrong, or could not be computed.
        text: what was found, what was expected, and the remedy.
    """

    subject: str
    refused: bool
    text: str


def refuse(findings: Sequence[TaskFinding], task: str) -> None:
    """Raise all refused findings as one error; does nothing if there is none.

    Raises:
        ConfigError: names the task, and each thing with its remedy.
    """
    refused = [finding.text for finding in findings if finding.refused]
    if refused:
        lines = refused[0] if len(refused) == 1 else "".join(f"\n- {text}" for text in refused)
        raise ConfigError(f"Task {task} cannot be valued as it stands: {lines}")
