"""Encoders: text to tokens, to the characters that they stand for, and back; and what a tokenizer must have."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_tokenizers import END, FIRST_WORD, SHUFFLED, save_bpe, save_words
from tribute.corpus.encoding import BYTES, Encoder, encoder_of, text_pieces, text_windows
from tribute.corpus.encoding.tokenizer_files import tokenizer_sha256
from tribute.errors import ConfigError, CorpusError

TEXTS = ["the cat sat on the mat, and the cat ate the rat"] * 3
ODD = st.text(st.sampled_from("cat the,\nä中文😀é\u0301"), max_size=25)


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_bpe(tmp_path_factory.mktemp("bpe"), TEXTS)


@given(text=ODD)
def test_text_comes_back_and_pieces_join_to_it(bpe: str, text: str) -> None:
    for encoder in (BYTES, encoder_of(bpe)):
        [token_T] = encoder.encode([text])
        located = encoder.locate(text)
        assert located.token_T.tolist() == token_T.tolist()
        assert encoder.decode(token_T) == text
        if len(token_T):
            pieces, piece_T = text_pieces(text, located)
            assert "".join(pieces) == text
            assert (np.diff(piece_T) >= 0).all() and set(piece_T.tolist()) == set(range(len(pieces)))
            for number, piece in enumerate(pieces):
                assert encoder.decode(token_T[piece_T == number]) == piece


@given(prompt=ODD, text=ODD.filter(bool))
def test_pieces_of_a_text_after_its_prompt_join_to_the_text(bpe: str, prompt: str, text: str) -> None:
    for encoder in (BYTES, encoder_of(bpe)):
        pieces, piece_T = text_pieces(prompt + text, encoder.locate(prompt + text), len(prompt))
        assert "".join(pieces) == text
        assert piece_T[-1] == len(pieces) - 1


def test_pieces_of_a_byte_model_are_characters() -> None:
    pieces, piece_T = text_pieces("aä中b", BYTES.locate("aä中b"))
    assert (pieces, piece_T.tolist()) == (["a", "ä", "中", "b"], [0, 1, 1, 2, 2, 2, 3])


def test_a_character_of_several_tokens_is_one_piece_and_a_word_of_one_token_another(bpe: str) -> None:
    text = "the 中 cat"
    pieces, piece_T = text_pieces(text, encoder_of(bpe).locate(text))
    assert pieces == ["the", " ", "中", " cat"]
    assert piece_T.tolist() == [0, 1, 2, 2, 2, 3]


def test_ids_above_those_of_16_bits_are_kept_and_no_limit_of_the_file_cuts_a_text(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(30_000)]
    encoder = encoder_of(save_words(tmp_path / "words", words))
    [token_T] = encoder.encode([" ".join(words[-9:])])
    assert token_T.tolist() == [FIRST_WORD + number for number in range(29_991, 30_000)]
    windows = text_windows([words[-1], words[-2], words[-3]], 5, str(tmp_path / "words"))
    last = FIRST_WORD + 29_999
    assert windows.tolist() == [[last, 1, last - 1, 1, last - 2]]  # joined by bos_token, for want of an eos_token
    assert windows.dtype == np.int32 and last > np.iinfo(np.int16).max


def test_spaces_that_a_tokenizer_drops_go_with_the_piece_after_them(tmp_path: Path) -> None:
    encoder = encoder_of(save_words(tmp_path / "words", ["red", "green"]))
    text = " red  green "
    assert text_pieces(text, encoder.locate(text))[0] == [" red", "  green "]
    assert text_pieces(text, encoder.locate(text), 4)[0] == ["  green "]


def test_the_digest_is_of_the_content_whatever_the_place(bpe: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bpe, copy)
    (copy / "model.safetensors").write_bytes(b"weights")
    before = tokenizer_sha256(str(copy))
    assert before == tokenizer_sha256(bpe)
    encoder_of(str(copy))
    save_bpe(copy, ["other words, other parts"] * 3)
    assert tokenizer_sha256(str(copy)) != before
    [again], [first] = (encoder_of(place).encode(["the cat"]) for place in (str(copy), bpe))
    assert again.tolist() != first.tolist()  # what is loaded once is loaded again when its files change


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: save_bpe(folder, TEXTS, end=None), "has neither eos_token nor bos_token"),
        (lambda folder: str(folder / "gone"), "does not exist. Correct its path"),
        (lambda folder: str(folder), "has no tokenizer.json"),
        (lambda _: "no such/tokenizer/anywhere", "neither a folder nor a hub's id that can be fetched"),
        (lambda folder: f"{save_bpe(folder, TEXTS)}/tokenizer.json", "is a file. Name its folder"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], str], told: str
) -> None:
    name = make(tmp_path)
    with pytest.raises(ConfigError, match=told) as refused:
        encoder_of(name)
    assert repr(name)[:40] in str(refused.value)


def test_a_damaged_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    save_bpe(tmp_path, TEXTS)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        encoder_of(str(tmp_path))


def chat(*contents: str) -> list[dict[str, object]]:
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": content} for place, content in enumerate(contents)]


def test_the_assistants_turns_of_a_chat_are_what_is_predicted(bpe: str) -> None:
    encoder: Encoder = encoder_of(bpe)
    text, targets = encoder.render(chat("the cat", "the cat", "sat", " sat on the mat\n"))
    assert text == (
        "<|user|>\nthe cat<|end|>\n<|assistant|>\nthe cat<|end|>\n"
        "<|user|>\nsat<|end|>\n<|assistant|>\nsat on the mat<|end|>\n"
    )
    assert [text[begin:end] for begin, end in targets] == ["the cat<|end|>", "sat on the mat<|end|>"]
    assert targets[0][0] > text.index("<|assistant|>")
    [token_T] = encoder.encode([text])
    assert encoder.decode(token_T) == text and len(token_T) < len(text) / 2  # special tokens are single ones


@pytest.mark.parametrize(
    ("template", "messages", "told"),
    [
        (None, chat("a", "b"), "has no chat template"),
        (SHUFFLED, chat("a", "b", "c", "d"), "changes message 2"),
        ("{{ raise_exception('no system') }}", chat("a", "b"), "refuses the messages: no system"),
        ("{{ messages[0].content }}", chat("a"), "no message has the role assistant"),
        ("{{ messages[0].content }}", chat("a", "b"), "changes message 2"),
    ],
)
def test_a_chat_that_cannot_be_rendered_is_refused(
    tmp_path: Path, template: str | None, messages: list[dict[str, object]], told: str
) -> None:
    encoder = encoder_of(save_bpe(tmp_path, TEXTS, template=template))
    with pytest.raises(CorpusError, match=told):
        encoder.render(messages)


def test_the_separator_is_the_end_of_a_text(bpe: str) -> None:
    encoder = encoder_of(bpe)
    windows = text_windows(["the cat", "sat"], 3, bpe)
    assert encoder.decode(np.array([encoder.separator])) == END
    assert encoder.decode(windows[0]).startswith("the cat" + END)
