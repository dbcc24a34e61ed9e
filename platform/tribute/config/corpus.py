"""Settings of what the model is trained on and of its uses in a period."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tribute.config.section import Settings


class CreditingSettings(Settings):
    """Who is paid for what stands in several sources: training sees it once, in the source that is credited."""

    credit: Literal["first_claimant", "source_order", "off"] = Field(
        "first_claimant", description="the earliest date of claim; the first source by id; or every copy"
    )
    claims: Path | None = Field(
        None,
        description="CSV of source_id, claimed (YYYY-MM-DD): from the operator's records, not publishers'",
    )


class CommonCorpusSettings(Settings):
    """What every kind of corpus has."""

    revision: int = Field(1, ge=1, description="raise it when the content has changed on purpose")
    held_out: float = Field(0.1, ge=0, lt=1, description="part of every source kept out of training, for queries")
    duplicates: CreditingSettings = CreditingSettings()


class InstalledDocsSettings(CommonCorpusSettings):
    """Docstrings and prose of the distributions that are installed beside tribute, and of the standard library."""

    kind: Literal["installed_docs"]
    sources: int = Field(10, ge=2, description="how many distributions, the largest first")
    max_bytes: int = Field(640_000, ge=10_000, description="text taken in all; a source gets its part by size")
    window: int = Field(65, ge=2, description="bytes per example: a context of window - 1 and its next bytes")


class TextCorpusSettings(CommonCorpusSettings):
    """A folder of text files (one folder per source), or a .jsonl or .parquet file with a source column."""

    kind: Literal["text"]
    path: Path
    source_column: str = "source"
    text_column: str = "text"
    claimed_column: str = Field("claimed", description="may be absent: when each document was first claimed")
    window: int = Field(65, ge=2, description="bytes per example: a context of window - 1 and its next bytes")


class ArraysCorpusSettings(CommonCorpusSettings):
    """A .parquet file: a fixed-size-list feature column, an integer label column and a source column."""

    kind: Literal["arrays"]
    path: Path
    source_column: str = "source"
    features_column: str = "features"
    label_column: str = "label"


class IdxCorpusSettings(CommonCorpusSettings):
    """IDX files (plain or .gz) of images and labels, and a text file with one source id per example."""

    kind: Literal["idx"]
    images: Path
    labels: Path
    assignment: Path = Field(description="line i holds the source id of example i; its length bounds the corpus")


CorpusSettings = Annotated[
    InstalledDocsSettings | TextCorpusSettings | ArraysCorpusSettings | IdxCorpusSettings,
    Field(discriminator="kind"),
]


class HeldOutQueriesSettings(Settings):
    """Queries from the held-out part of the corpus itself: the same number of every source."""

    kind: Literal["held_out"] = "held_out"
    per_source: int = Field(24, ge=1)


class UsageQueriesSettings(Settings):
    """A .jsonl or .parquet file of usage events.

    Columns: `query_id`, and `text` (text corpora) or `features` and `label` (arrays); optionally `time`
    (RFC 3339), `customer_id`, `weight` (1) and `inclusion_probability` (1).
    """

    kind: Literal["usage"]
    path: Path


class IdxQueriesSettings(Settings):
    """Queries from a pair of IDX files, in file order."""

    kind: Literal["idx"]
    images: Path
    labels: Path
    limit: int | None = Field(None, ge=1)


class IngestedQueriesSettings(Settings):
    """The period's events that `tribute ingest` brought into the lake, with their content.

    With any other kind it brings their hash, time, customer and weight, and nothing of what was asked.
    """

    kind: Literal["ingested"]


QueriesSettings = Annotated[
    HeldOutQueriesSettings | UsageQueriesSettings | IngestedQueriesSettings | IdxQueriesSettings,
    Field(discriminator="kind"),
]
