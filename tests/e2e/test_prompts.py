"""A project whose text is a tokenizer's tokens and whose uses have prompts: run to the end, served, shown."""

import json

import httpx
import pytest
import torch

from tests.e2e.conftest import PERIOD
from tests.projects import WORDS, article, write_project
from tests.served import served
from tests.tiny_tokenizers import save_bpe
from tribute import Client
from tribute.catalog import lineage, recorded_replicates
from tribute.config import Project, load_project
from tribute.corpus.encoding import encoder_of
from tribute.training import build_model
from tribute_jobs.inquiries.examples import batch_query, influential_examples
from tribute_jobs.pipeline import run
from tribute_jobs.progress import JsonReporter
from tribute_storage import open_tables

WINDOW, VOCABULARY = 33, 320
PROMPT, ANSWER = "Which word follows minister? ", "budget parliament"


def corpus_row(source: str, number: int) -> dict[str, object]:
    """A row of which one in three has a prompt."""
    prompt = f"Write about {source}. " if number % 3 == 0 else None
    return {"source": source, "prompt": prompt, "completion": article(source, number)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Project:  # noqa: ARG001
    folder = tmp_path_factory.mktemp("prompts") / "press"
    corpus = {
        "kind": "text",
        "path": "prompts.jsonl",
        "window": WINDOW,
        "tokenizer": "tokens",
        "prompt_column": "prompt",
        "completion_column": "completion",
    }
    options = {"context": WINDOW - 1, "width": 16, "heads": 2, "layers": 1, "vocabulary": VOCABULARY}
    path = write_project(
        folder,
        corpus=corpus,
        task={"name": "byte_lm", "options": options},
        serving={"keep_content_days": 1.0},
    )
    articles = {source: [corpus_row(source, number) for number in range(9)] for source in WORDS}
    rows = [row for own in articles.values() for row in own]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_bpe(folder / "tokens", [str(row["completion"]) for row in rows], VOCABULARY)
    uses = [json.loads(line) for line in (folder / "usage.jsonl").read_text().splitlines()]
    uses[0] |= {"prompt": PROMPT, "text": ANSWER}
    uses[1] |= {"prompt": PROMPT * 9}
    (folder / "usage.jsonl").write_text("".join(json.dumps(use) + "\n" for use in uses))
    run(load_project(path), PERIOD, JsonReporter())
    return load_project(path)


def log_likelihood(project: Project, prompt: str, text: str) -> float:
    """Of the tokens that end after a prompt, one by one, by the first replicate's model."""
    encoder = encoder_of(str(project.workdir.parent / "tokens"))
    [whole] = encoder.encode([prompt + text])
    ends = [len(encoder.decode(whole[: place + 1])) for place in range(len(whole))]
    task, theta_P = build_model(project.task, project.training), recorded_replicates(project)[0].final()
    model, total = task.measured_model(task.pieces(theta_P)), 0.0
    with torch.no_grad():
        for place in (each for each, end in enumerate(ends) if end > len(prompt)):
            logits = model(torch.from_numpy(whole[:place]).long()[None])[0, -1]
            total += float(logits.log_softmax(-1)[whole[place]])
    return total


def test_a_use_is_measured_by_its_text_after_its_prompt(project: Project) -> None:
    with open_tables(project.lake_root) as lake:
        found = dict(lake.execute("select query_id, measurement_nats from queries").fetchall())
        [(tokens, examples)] = lake.execute(
            "select tokens, examples from corpus_sources where source_id = 'daily'"
        ).fetchall()
    assert found["q000"] == pytest.approx(log_likelihood(project, PROMPT, ANSWER), abs=1e-4)
    assert 0 < tokens <= examples * (WINDOW - 1)


def test_a_served_use_has_its_influence_divided_among_the_pieces_of_its_text(project: Project) -> None:
    use = {"prompt": PROMPT, "text": "büdget 中", "query_id": "live"}
    plain = {"text": ANSWER, "query_id": "plain"}
    with served(project) as url, Client(url) as client:
        [model] = client.models()
        answers = client.attribute([use, plain], per_token=True, top_k=None)
        page = httpx.get(f"{url}/queries/live?tokens=true")
        shown = httpx.get(f"{url}/queries/live")
    assert model.takes_prompts
    for answer, text in zip(answers, (use["text"], ANSWER), strict=True):
        assert answer.tokens is not None and "".join(answer.tokens) == text
        for source in answer.sources:
            assert source.token_nats is not None and len(source.token_nats) == len(answer.tokens)
            assert sum(source.token_nats) == pytest.approx(source.influence_nats, abs=1e-5)
    assert any(len(piece) > 1 for piece in answers[1].tokens or ())
    assert all(source.token_nats and source.token_nats[0] == 0 for source in answers[1].sources)
    assert any(source.token_nats and source.token_nats[0] != 0 for source in answers[0].sources)
    assert answers[0].measurement_nats == pytest.approx(log_likelihood(project, PROMPT, use["text"]), abs=1e-4)
    assert page.status_code == shown.status_code == 200
    for each in (page.text, shown.text):
        assert "Which word follows minister?" in each
    assert "by nearest" in shown.text and "the column" not in shown.text  # passages of the best source


def test_passages_are_text_again(project: Project) -> None:
    query = batch_query(project, PERIOD, "q001")
    found = influential_examples(project, query, "sports", "nearest", 3)
    assert len(found) == 3
    for each in found:
        assert set(str(each["content"]).lower().replace(".", " ").split()) & set(WORDS["sports"])


def test_another_tokenizer_at_the_same_place_is_another_corpus(project: Project) -> None:
    folder = project.workdir.parent
    kept = (folder / "tokens" / "tokenizer.json").read_bytes()
    before = lineage(project).corpus_run
    try:
        save_bpe(folder / "tokens", ["other words"], 300)
        assert lineage(load_project(folder / "project.yaml")).corpus_run != before
    finally:
        (folder / "tokens" / "tokenizer.json").write_bytes(kept)
    assert lineage(load_project(folder / "project.yaml")).corpus_run == before
