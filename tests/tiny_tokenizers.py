"""Hugging Face tokenizers made in a test: bytes joined to parts of words, or whole words with large ids."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END, USER, ASSISTANT, TURN = "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>\n{{ message.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SHUFFLED = "{% for message in messages | reverse %}{{ message.content }}\n{% endfor %}"
FIRST_WORD = 40_000


def save_bpe(
    folder: Path,
    texts: Iterable[str],
    vocabulary: int = 300,
    template: str | None = TEMPLATE,
    end: str | None = END,
) -> str:
    """A byte-level BPE tokenizer, saved; its folder."""
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [END, USER, ASSISTANT, TURN]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    found.train_from_iterator(texts, trainer)
    whole = PreTrainedTokenizerFast(tokenizer_object=found, eos_token=end, additional_special_tokens=special[1:])
    whole.chat_template = template
    whole.save_pretrained(folder)
    return str(folder)


def save_words(folder: Path, words: Iterable[str]) -> str:
    """A tokenizer of whole words whose ids begin at `FIRST_WORD`, saved with a limit on length; its folder."""
    ids = {word: FIRST_WORD + number for number, word in enumerate(words)} | {"[UNK]": 0, END: 1}
    found = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.enable_truncation(3)
    found.enable_padding(length=5)
    PreTrainedTokenizerFast(tokenizer_object=found, bos_token=END, unk_token="[UNK]").save_pretrained(folder)
    return str(folder)
