"""The record of a valuation, as MLflow keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class TrackedRun:
    """A part of the record of one valuation."""

    run_id: str
    title: str
    part: str
    """Name of the part, such as `valuation`. Each part is written once."""
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: "Mapping[str, tuple[pa.Table, str]]" = field(default_factory=dict)
    """Data sets by name: the rows, and the URI of their table."""
    tables: "Mapping[str, pa.Table]" = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
