"""Many problems, told at once: a file is corrected in one go, not one error at a time."""

from collections.abc import Sequence

from tribute.errors import RightsError

_SHOWN = 20


def raise_if_any(headline: str, problems: Sequence[str]) -> None:
    """Nothing without problems; otherwise one error that lists the first twenty.

    Raises:
        RightsError: there is a problem.
    """
    if problems:
        rest = [f"  and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise RightsError("\n".join([headline, *(f"  {problem}" for problem in problems[:_SHOWN]), *rest]))
