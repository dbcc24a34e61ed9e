"""Settings of the corpus and of the queries."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from tribute.config.section import Settings


class CreditingSettings(Settings):
    """Crediting of content that occurs in several sources: training sees it once, in the credited source."""

    credit: Literal["first_claimant", "source_order", "off"] = Field(
        "first_claimant", description="credit the earliest claim, the first source by id, or every copy"
    )
    claims: Path | None = Field(
        None,
        description="CSV of source_id, claimed (YYYY-MM-DD), from the operator's own records",
    )


class CommonCorpusSettings(Settings):
    """Settings of every kind of corpus."""

    revision: StrictInt = Field(1, ge=1, description="raise it to read and train again from the same content")
    held_out: StrictFloat = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of each source's bytes held out of training, for queries; default: 0 where queries are "
        "uses of the model",
    )
    duplicates: CreditingSettings = CreditingSettings()


class WindowSettings(CommonCorpusSettings):
    """Settings of text: how it becomes rows of tokens."""

    window: StrictInt = Field(
        65,
        ge=2,
        description="bytes per example, or tokens of `tokenizer`; with the next one of each position",
    )
    tokenizer: str | None = Field(
        None,
        description="folder or hub id of a Hugging Face tokenizer, by the extra `hf`; default: text is bytes",
    )

    def _not_counted(self) -> set[str]:
        return {"tokenizer"}  # its files count, not their place


class InstalledDocsSettings(WindowSettings):
    """Docstrings and prose of the standard library and of the distributions in the environment."""

    kind: Literal["installed_docs"]
    sources: StrictInt = Field(10, ge=2, description="number of distributions, the largest first")
    max_bytes: StrictInt = Field(
        640_000, ge=10_000, description="total text in bytes; each source gets a quota by its size"
    )


class TextCorpusSettings(WindowSettings):
    """A folder of text files (one folder per source), or a .jsonl or .parquet file with a source column."""

    kind: Literal["text"]
    path: Path
    source_column: str = "source"
    text_column: str = "text"
    claimed_column: str = Field("claimed", description="optional: date of the first claim of each document")
    prompt_column: str | None = Field(
        None, description="of a file, with `completion_column`: what comes before the text and is not predicted"
    )
    completion_column: str | None = Field(None, description="the text that is predicted, instead of `text_column`")
    messages_column: str | None = Field(
        None,
        description="of a file, instead: chats, a list of {role, content} each, written by the tokenizer's chat "
        "template; the turns of the assistant are predicted",
    )

    @property
    def has_targets(self) -> bool:
        """Whether only parts of the documents are predicted, so that rows have the column `target`."""
        return self.prompt_column is not None or self.messages_column is not None

    @property
    def content_columns(self) -> tuple[str, ...]:
        """The columns that hold the text of a document."""
        if self.messages_column is not None:
            return (self.messages_column,)
        if self.prompt_column is not None and self.completion_column is not None:
            return self.prompt_column, self.completion_column
        return (self.text_column,)

    def _not_counted(self) -> set[str]:
        optional = ("prompt_column", "completion_column", "messages_column")
        return super()._not_counted() | {name for name in optional if getattr(self, name) is None}

    @model_validator(mode="after")
    def _content_is_one(self) -> Self:
        if (self.prompt_column is None) != (self.completion_column is None):
            raise ValueError("give both prompt_column and completion_column, or neither")
        if self.messages_column is not None:
            if self.prompt_column is not None:
                raise ValueError("give messages_column, or prompt_column and completion_column, not both")
            if self.tokenizer is None:
                raise ValueError("messages_column needs a tokenizer with a chat template. Name it as tokenizer")
        if self.has_targets and "text_column" in self.model_fields_set:
            raise ValueError(f"text_column has no effect beside {self.content_columns[-1]!r}. Remove it")
        return self


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
    assignment: Path = Field(description="line i holds the source id of example i; its length limits the corpus")


CorpusSettings = Annotated[
    InstalledDocsSettings | TextCorpusSettings | ArraysCorpusSettings | IdxCorpusSettings,
    Field(discriminator="kind"),
]


class HeldOutQueriesSettings(Settings):
    """Queries from held-out examples of the corpus: the same number for each source."""

    kind: Literal["held_out"] = "held_out"
    per_source: StrictInt = Field(24, ge=1)


class UsageQueriesSettings(Settings):
    """Usage events in .jsonl, .jsonl.gz or .parquet files.

    Columns: `query_id`, `text` (text corpora) or `features` and `label` (arrays), `time` (RFC 3339) or `period`
    (YYYY-MM); optionally `customer_id`, `weight` (1), `inclusion_probability` (1), and of text its `prompt`, which
    is context and is not measured.
    """

    kind: Literal["usage"]
    path: tuple[Path, ...] = Field(min_length=1, description="a file, a pattern such as usage/*.jsonl, or a list")

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return value if isinstance(value, list | tuple) else (value,)


class IdxQueriesSettings(Settings):
    """Queries from a pair of IDX files, in file order."""

    kind: Literal["idx"]
    images: Path
    labels: Path
    limit: StrictInt | None = Field(None, ge=1)


class IngestedQueriesSettings(Settings):
    """Queries that `tribute ingest` stored in the lake, with their content.

    For any other kind, it stores only hash, time, customer and weight, without the content.
    """

    kind: Literal["ingested"]


QueriesSettings = Annotated[
    HeldOutQueriesSettings | UsageQueriesSettings | IngestedQueriesSettings | IdxQueriesSettings,
    Field(discriminator="kind"),
]
