"""Tokenizers of Hugging Face, by the extra `hf`.

Legend: T tokens of a text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tribute.corpus.encoding.encoder import LocatedTokens
from tribute.corpus.encoding.tokenizer_files import INSTALL, tokenizer_files, tokenizer_folder
from tribute.corpus.sources import Spans
from tribute.errors import ConfigError, CorpusError
from tribute.files.digests import file_record
from tribute.ids import excerpt, short_words

DOCUMENTS_AT_ONCE = 256


class TokenizerEncoder:
    """Text as the tokens of a Hugging Face tokenizer; documents are joined by its end-of-text token.

    Text is split as the tokenizer splits it, without special tokens around it. A special token that is written out
    in a text is that token, as in a training with the same tokenizer.

    Args:
        tokenizer: a fast tokenizer of `transformers`.
        name: of the tokenizer, for messages.

    Raises:
        ConfigError: it has no `tokenizer.json`, and so tells no places in the text; or no special token that ends
            or begins a text.
    """

    dtype: type[np.signedinteger] = np.int32
    unit = "tokens"

    def __init__(self, tokenizer: Any, name: str) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ConfigError(
                f"The tokenizer {excerpt(name)} is not a fast one, and cannot say which characters a token stands "
                "for. Convert it, so that its folder has tokenizer.json"
            )
        ends = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
        if ends is None:
            raise ConfigError(
                f"The tokenizer {excerpt(name)} has neither eos_token nor bos_token, so nothing would separate "
                "documents. Name one in its tokenizer_config.json"
            )
        self.separator, self._name, self._tokenizer = int(ends), name, tokenizer
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()  # a file may hold a limit, which would cut texts without a word
        self._backend.no_padding()

    def encode(self, texts: Iterable[str]) -> Iterator[NDArray[np.integer]]:
        """Tokens of each text, [T]."""
        rest = iter(texts)
        while some := list(islice(rest, DOCUMENTS_AT_ONCE)):
            for found in self._backend.encode_batch_fast(some, add_special_tokens=False):
                yield np.array(found.ids, dtype=self.dtype)

    def locate(self, text: str) -> LocatedTokens:
        """Tokens of a text with their characters."""
        found = self._backend.encode(text, add_special_tokens=False)
        spans_T = np.array(found.offsets, dtype=np.int64).reshape(-1, 2)
        return LocatedTokens(np.array(found.ids, dtype=self.dtype), spans_T[:, 0], spans_T[:, 1])

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """The text of some tokens, special ones written out."""
        ids = tokens[tokens >= 0].tolist()
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def render(self, messages: Sequence[Mapping[str, object]]) -> tuple[str, Spans]:
        """A chat by the tokenizer's template, and the characters that the assistant wrote.

        They are each turn's content and the token that ends the turn, if one follows at once: the model has to
        write it. What else the template adds is not among them.

        Raises:
            CorpusError: the tokenizer has no chat template, or refuses the chat; no turn is the assistant's; or
                the template changes a turn, so that it cannot be found.
        """
        if not getattr(self._tokenizer, "chat_template", None):
            raise CorpusError(
                f"the tokenizer {excerpt(self._name)} has no chat template. Add chat_template.jinja to its "
                "folder, or use prompt_column and completion_column"
            )
        text, found, after = self._rendered(messages), list[tuple[int, int]](), 0
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._rendered(messages[:place], add_generation_prompt=True)
            content = str(message["content"]).strip()
            begin = text.find(content, len(before)) if content and text.startswith(before) else -1
            if begin < after:
                raise CorpusError(
                    f"the chat template of {excerpt(self._name)} changes message {place + 1}, so its place is not "
                    "known. Use a template that writes turns as they are, one after the other"
                )
            after = self._end_of_turn(text, begin + len(content))
            found.append((begin, after))
        if not found:
            raise CorpusError("no message has the role assistant, so there is nothing to predict. Drop the row")
        return text, tuple(found)

    def _rendered(self, messages: Sequence[Mapping[str, object]], **options: bool) -> str:
        try:
            return str(self._tokenizer.apply_chat_template(list(messages), tokenize=False, **options))
        except Exception as error:  # whatever a template raises
            raise CorpusError(
                f"the chat template of {excerpt(self._name)} refuses the messages: {short_words(str(error))}"
            ) from None

    def _end_of_turn(self, text: str, end: int) -> int:
        """Where a turn ends: after the special token that follows its content at once, if any."""
        following = [token for token in self._tokenizer.all_special_tokens if text.startswith(token, end)]
        return end + len(max(following, key=len, default=""))


def tokenizer_encoder(name: str) -> TokenizerEncoder:
    """The encoder of a folder or hub id, loaded once as long as its files stay the same.

    Raises:
        ConfigError: the extra `hf` is not installed, or the tokenizer cannot be used.
    """
    folder = tokenizer_folder(name)
    return _loaded(name, folder, repr([file_record(path) for path in tokenizer_files(folder)]))


@lru_cache(maxsize=4)
def _loaded(name: str, folder: Path, state: str) -> TokenizerEncoder:
    """The encoder of a folder whose files are in this state: changed ones are loaded again."""
    del state
    try:
        tokenizers = import_module("transformers").AutoTokenizer
    except ImportError:
        raise ConfigError(f"The tokenizer {excerpt(name)} needs the extra hf. {INSTALL}") from None
    try:
        tokenizer = tokenizers.from_pretrained(str(folder))
    except Exception as error:  # of any library beneath
        raise ConfigError(
            f"The tokenizer {excerpt(name)} cannot be loaded: {short_words(str(error)).rstrip('.')}. Restore its "
            "files"
        ) from None
    return TokenizerEncoder(tokenizer, name)
