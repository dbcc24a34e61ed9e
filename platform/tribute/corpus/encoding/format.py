"""How the text of a corpus, and of its queries, becomes rows: the window, the encoder, the columns."""

from dataclasses import dataclass

from tribute.config import CorpusSettings, TextCorpusSettings, WindowSettings
from tribute.corpus.encoding.encoder import BYTES, Encoder
from tribute.corpus.encoding.tokenizer import tokenizer_encoder


@dataclass(frozen=True)
class TextFormat:
    """How text becomes rows.

    Attributes:
        window: tokens of a row.
        targets: whether rows have the column `target`: which tokens are predicted.
    """

    window: int
    encoder: Encoder = BYTES
    targets: bool = False

    @classmethod
    def of(cls, window: "TextFormat | int", tokenizer: str | None = None) -> "TextFormat":
        """A format as it is; or windows of bytes, or of the tokens of a tokenizer."""
        return window if isinstance(window, TextFormat) else cls(window, encoder_of(tokenizer))


def text_format(settings: CorpusSettings) -> TextFormat | None:
    """The format of a corpus of text; None: it is not text.

    Raises:
        ConfigError: the tokenizer cannot be used.
    """
    return format_of(settings) if isinstance(settings, WindowSettings) else None


def format_of(settings: WindowSettings) -> TextFormat:
    """The format of a corpus of text.

    Raises:
        ConfigError: the tokenizer cannot be used.
    """
    has_targets = isinstance(settings, TextCorpusSettings) and settings.has_targets
    return TextFormat(settings.window, encoder_of(settings.tokenizer), has_targets)


def encoder_of(tokenizer: str | None) -> Encoder:
    """The encoder of a tokenizer, a folder or a hub id; None: bytes.

    Raises:
        ConfigError: the tokenizer cannot be used.
    """
    if tokenizer is None:
        return BYTES
    return tokenizer_encoder(tokenizer)
