"""What a request names and nobody has."""

from tribute.errors import TributeError


class Missing(TributeError):
    """What was asked for is not in the lake, or not among the rows that the caller may see; answered with 404."""
