"""Corpora of a tokenizer, of prompts with completions and of chats: from files to rows, and from a snapshot."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.tiny_tokenizers import ASSISTANT, END, TURN, USER, save_bpe
from tests.unit.corpus.small import refusal, sentence, write_jsonl
from tribute.config import TextCorpusSettings, load_project
from tribute.corpus import Corpus, load_source, read_corpus, text_format, text_windows, write_snapshot
from tribute.corpus.content import corpus_content

WINDOW = 24


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_bpe(tmp_path_factory.mktemp("bpe"), [sentence(number) for number in range(9)])


def settings(path: Path, **others: object) -> TextCorpusSettings:
    return TextCorpusSettings.model_validate({"kind": "text", "path": path, "window": WINDOW} | others)


def prompts(path: Path, own: int = 6) -> Path:
    rows = [
        {"source": source, "prompt": sentence("asked by all", 20), "completion": sentence((source, number), 12)}
        for source in ("a", "b")
        for number in range(own)
    ]
    return write_jsonl(path / "corpus.jsonl", rows)


def predicted(corpus: Corpus, form: TextCorpusSettings, source: int = 0, part: str = "train") -> str:
    columns, rows = getattr(corpus.sources[source], part), text_format(form)
    assert rows is not None
    return rows.encoder.decode(columns["tokens"][columns["target"]])


def test_settings_without_the_new_keys_stand_for_the_same_run(tmp_path: Path) -> None:
    """The fingerprint of a release before there were tokenizers."""
    before = "818be4d34b514006cd1c5a4c7bf12566de69d73eada5877263b99ce09a9f5d6a"
    assert TextCorpusSettings(kind="text", path=tmp_path).fingerprint() == before
    assert settings(tmp_path, tokenizer="a").fingerprint() == settings(tmp_path, tokenizer="b").fingerprint()


def test_a_corpus_of_tokens_has_their_windows_and_another_tokenizer_is_another_corpus(
    tmp_path: Path, bpe: str
) -> None:
    texts = {source: [sentence((source, number)) for number in range(3)] for source in ("a", "b")}
    rows = [{"source": source, "text": text} for source in texts for text in texts[source]]
    of_tokens = settings(write_jsonl(tmp_path / "corpus.jsonl", rows), tokenizer=bpe, held_out=0.0)
    corpus = read_corpus(of_tokens)
    for source in corpus.sources:
        assert list(source.train) == ["tokens"] and source.train["tokens"].dtype == np.int32
        expected = text_windows(texts[source.source.source_id], WINDOW, bpe)
        np.testing.assert_array_equal(source.train["tokens"], expected)
        assert source.tokens == expected.size < sum(len(text) for text in texts[source.source.source_id])
    before = corpus_content(of_tokens)
    assert before == corpus.inputs
    save_bpe(Path(bpe).parent / "other", ["quite other words"] * 3)
    other = of_tokens.model_copy(update={"tokenizer": str(Path(bpe).parent / "other")})
    assert {name for name in before if before[name] != corpus_content(other)[name]} == {"corpus.tokenizer"}


def test_a_held_out_end_is_a_window_of_tokens(tmp_path: Path, bpe: str) -> None:
    rows = [{"source": source, "text": sentence((source, 0), 400)} for source in ("a", "b")]
    path = write_jsonl(tmp_path / "corpus.jsonl", rows)
    for tokenizer in (None, bpe):
        corpus = read_corpus(settings(path, tokenizer=tokenizer, held_out=0.1))
        assert all(len(source.held_out["tokens"]) for source in corpus.sources)
    short = [{"source": source, "text": sentence((source, 0), 3)} for source in ("a", "b")]
    path = write_jsonl(tmp_path / "short.jsonl", short)
    assert "less than one window of 24 tokens is left" in refusal(
        lambda: read_corpus(settings(path, tokenizer=bpe, window=24))
    )


@pytest.mark.parametrize("tokens", [False, True])
def test_only_completions_are_predicted_and_prompts_that_all_share_are_no_copies(
    tmp_path: Path, bpe: str, tokens: bool
) -> None:
    end = END if tokens else "\0"
    form = settings(
        prompts(tmp_path),
        tokenizer=bpe if tokens else None,
        prompt_column="prompt",
        completion_column="completion",
        held_out=0.0,
    )
    corpus = read_corpus(form)
    assert corpus.duplicates == ()
    answers = [sentence(("a", number), 12) + end for number in range(6)]
    assert predicted(corpus, form) == "".join(answers)
    assert corpus.sources[0].tokens == corpus.sources[0].train["target"].sum()
    write_snapshot(corpus, tmp_path / "snapshot")
    for name, values in load_source(tmp_path / "snapshot", "a", "train").items():
        np.testing.assert_array_equal(values, corpus.sources[0].train[name])
        assert values.dtype == corpus.sources[0].train[name].dtype


def test_documents_with_prompts_are_held_out_whole(tmp_path: Path) -> None:
    columns = {"prompt_column": "prompt", "completion_column": "completion"}
    form = settings(prompts(tmp_path, own=20), **columns, held_out=0.2)
    corpus = read_corpus(form)
    train, held_out = (predicted(corpus, form, part=part).split("\0")[:-1] for part in ("train", "held_out"))
    assert held_out
    assert sorted([*train, *held_out]) == sorted(sentence(("a", number), 12) for number in range(20))


def test_a_passage_of_another_source_is_no_longer_predicted_and_remains_context(tmp_path: Path) -> None:
    taken, own, end = sentence("taken", 60), sentence("own", 60), sentence("end", 9)
    rows = [
        {"source": "a", "prompt": "Say it.", "completion": taken},
        {
            "source": "b",
            "prompt": "Say more.",
            "completion": f"{sentence('own', 60)} {taken} {sentence('end', 9)}",
        },
    ]
    form = settings(
        write_jsonl(tmp_path / "corpus.jsonl", rows),
        prompt_column="prompt",
        completion_column="completion",
        window=2000,
        held_out=0.0,
    )
    corpus = read_corpus(form)
    [copy] = corpus.duplicates
    assert (copy.source_id, copy.credited_source_id, copy.kind) == ("b", "a", "passage")
    assert predicted(corpus, form, 1) == f"{own}  {end}\0"
    [row] = corpus.sources[1].train["tokens"]
    assert taken.encode() in bytes(row[row >= 0].tolist())


def test_a_row_without_a_prompt_is_a_plain_document(tmp_path: Path) -> None:
    rows = [{"source": source, "prompt": None, "completion": sentence((source, 1))} for source in ("a", "b")]
    rows += [{"source": "a", "prompt": "Why?", "completion": "So."}]
    form = settings(
        write_jsonl(tmp_path / "corpus.jsonl", rows),
        prompt_column="prompt",
        completion_column="completion",
        held_out=0.0,
    )
    one, two = read_corpus(form).sources
    assert (one.train["target"].sum(1)[:-1] == WINDOW - 1).all() and one.train["target"].sum(1)[-1] == 4
    assert one.train.keys() == two.train.keys() == {"tokens", "target"}


def test_only_the_turns_of_the_assistant_are_predicted_in_a_chat(tmp_path: Path, bpe: str) -> None:
    def chat(source: str) -> list[dict[str, str]]:
        return [
            {"role": role, "content": sentence((source, place), 8)}
            for place, role in enumerate(("user", "assistant", "user", "assistant"))
        ]

    rows = [{"source": source, "messages": chat(source)} for source in ("a", "b")]
    path = write_jsonl(tmp_path / "corpus.jsonl", rows)
    form = settings(path, messages_column="messages", tokenizer=bpe, window=400, held_out=0.0)
    corpus = read_corpus(form)
    assert predicted(corpus, form) == f"{sentence(('a', 1), 8)}{TURN}{sentence(('a', 3), 8)}{TURN}"
    rendered = text_format(form)
    assert rendered is not None
    whole = rendered.encoder.decode(corpus.sources[0].train["tokens"][0])
    assert whole.startswith(f"{USER}\n{sentence(('a', 0), 8)}{TURN}\n{ASSISTANT}\n")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ("text", "expected a list of messages"),
        ([], "expected a list of messages"),
        ([{"role": "user"}], "message 1 is .* expected role and content"),
        ([{"role": "user", "content": [{"type": "image"}]}], "message 1 is .* expected role and content"),
        ([{"role": "user", "content": "a"}], "no message has the role assistant"),
    ],
)
def test_a_chat_that_is_none_is_refused_by_its_row(tmp_path: Path, bpe: str, messages: object, told: str) -> None:
    path = write_jsonl(tmp_path / "corpus.jsonl", [{"source": "a", "messages": messages}])
    form = settings(path, messages_column="messages", tokenizer=bpe)
    with pytest.raises(Exception, match=rf"row 1: column 'messages'.*{told}"):
        read_corpus(form)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prompt_column": "p"}, "give both prompt_column and completion_column"),
        ({"messages_column": "m"}, "needs a tokenizer with a chat template"),
        (
            {"messages_column": "m", "tokenizer": "t", "prompt_column": "p", "completion_column": "c"},
            "not both",
        ),
        ({"prompt_column": "p", "completion_column": "c", "text_column": "t"}, "text_column has no effect"),
    ],
)
def test_columns_that_contradict_one_another_are_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(Path("corpus.jsonl"), **given)


def test_a_folder_has_no_column_of_prompts(tmp_path: Path) -> None:
    form = settings(tmp_path, prompt_column="p", completion_column="c")
    assert "is a folder, which has no column 'c'" in refusal(lambda: read_corpus(form))


def test_a_tokenizers_folder_lies_beside_the_project_and_a_hub_id_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    for name, expected in (
        ("tokens", str(tmp_path / "tokens")),
        ("./gone", str(tmp_path / "gone")),
        ("org/model", "org/model"),
    ):
        (tmp_path / "project.yaml").write_text(
            f"name: p\ncorpus: {{kind: text, path: c.jsonl, tokenizer: {name}}}\nqueries: {{kind: held_out}}\n"
        )
        corpus = load_project(tmp_path / "project.yaml").corpus
        assert isinstance(corpus, TextCorpusSettings) and corpus.tokenizer == expected
