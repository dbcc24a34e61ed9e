"""Values as SQL text."""


def literal(text: str) -> str:
    """`text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def literals(texts: list[str]) -> str:
    """`texts` as a SQL list of string literals."""
    return f"[{', '.join(literal(text) for text in texts)}]"
