"""Which parameters a simulation lets move, by their names."""

import re
from collections.abc import Sequence

from tribute.errors import ConfigError


def scoped_names(names: Sequence[str], scope: str) -> tuple[str, ...]:
    """Names of the parameters in `scope`, in the model's own order.

    - `all`: every trainable parameter
    - `last_block`: the last numbered block and everything that the model registers after it
    - `head`: the last module that holds parameters itself
    - `lora`: adapters, whose names hold `lora_`
    - anything else is a regular expression that is searched in the names

    Raises:
        ConfigError: nothing is in the scope, or the expression is not valid; lists the names.
    """
    if scope == "all":
        return tuple(names)
    if scope == "last_block":
        chosen = _last_block(names)
    elif scope == "head":
        chosen = [name for name in names if name.rpartition(".")[0] == names[-1].rpartition(".")[0]]
    else:
        chosen = _matching(names, "lora_" if scope == "lora" else scope)
    if not chosen:
        raise ConfigError(
            f"simulation.scope {scope!r} holds no parameter of this model. It has: {', '.join(names[:20])}"
            + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        )
    return tuple(chosen)


def _last_block(names: Sequence[str]) -> list[str]:
    numbered = [re.match(r"(?:.*?\.)?\d+\.", name) for name in names]
    last = next((match[0] for match in reversed(numbered) if match), None)
    first = next((i for i, match in enumerate(numbered) if match and match[0] == last), len(names))
    return list(names[first:])


def _matching(names: Sequence[str], expression: str) -> list[str]:
    try:
        return [name for name in names if re.search(expression, name)]
    except re.error as error:
        raise ConfigError(f"simulation.scope {expression!r} is not a regular expression: {error}") from None
