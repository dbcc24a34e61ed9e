"""The market for a language model: queries come from held-out text, and trimming changes no logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

from tests.benchmarks.language_market import ASKED, KINDS, SPECIAL, LanguageMarket
from tests.benchmarks.markets.texts import ASKED_EVERY

WORDS, LENGTH = 400, 5
DOCUMENTS = 60


@pytest.fixture(params=KINDS)
def market(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageMarket:
    """Documents of random words; a word of a held-out document occurs in no other kind of document."""

    def documents(package: str) -> tuple[str, ...]:
        draw = np.random.default_rng(list(package.encode()))
        first = [SPECIAL + WORDS // 4 * (index % ASKED_EVERY == 0) for index in range(DOCUMENTS)]
        return tuple(" ".join(f"w{word}" for word in draw.integers(each, each + 90, 20)) for each in first)

    monkeypatch.setattr("tests.benchmarks.language_market.documents", documents)
    vocabulary = {f"w{index}": index for index in range(WORDS)} | {"?": WORDS}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path / "whole")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    set_seed(0)
    config = LlamaConfig(vocab_size=WORDS + 1, tie_word_embeddings=True, **sizes)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "whole")
    return LanguageMarket(request.param, tmp_path / "whole", windows=90, length=LENGTH, asked=28)


def test_queries_come_from_documents_that_no_source_holds(market: LanguageMarket) -> None:
    trained, (named, columns) = market.examples(), market.queries()
    assert {name: len(each["tokens"]) for name, each in trained.items()} == market.sizes
    assert columns["tokens"].shape == (len(named), LENGTH)
    learnt = np.concatenate([each["tokens"] for each in trained.values()])
    assert not np.isin(columns["tokens"], learnt).any()


def test_a_copy_repeats_a_package_and_a_second_source_of_it_does_not(market: LanguageMarket) -> None:
    windows = {name: list(map(bytes, each["tokens"])) for name, each in market.examples().items()}
    first = windows[next(iter(market.packages))]
    if market.kind == "mixed":
        shorter = min(len(first), len(windows["copy"]))
        assert shorter and windows["copy"][:shorter] == first[:shorter]
    else:
        [twin] = [name for name, package in market.packages.items() if name != package]
        assert windows[twin] and not set(first) & set(windows[twin])


def test_uses_follow_the_demand_for_packages(market: LanguageMarket) -> None:
    named, _ = market.queries()
    for demand in (market.demand, market.by_size):
        uses_Q = market.uses(demand)
        assert sum(demand.values()) == pytest.approx(1)
        assert uses_Q.sum() == pytest.approx(len(named))
        for package, part in demand.items():
            own = [name == package for name in named]
            assert uses_Q[own].sum() == pytest.approx(part * len(named))
    assert sum(part == 0 for part in market.demand.values()) == len(market.demand) - min(ASKED, len(market.demand))


def test_a_trimmed_model_has_the_logits_of_its_tokens(market: LanguageMarket, tmp_path: Path) -> None:
    trimmed = AutoModelForCausalLM.from_pretrained(market.trimmed_model(tmp_path / "trimmed")).double()
    whole = AutoModelForCausalLM.from_pretrained(market.model).double()
    tokens_QW = torch.from_numpy(market.queries()[1]["tokens"]).long()
    ids_V = torch.from_numpy(market.ids_V)
    assert SPECIAL < len(ids_V) < WORDS
    with torch.no_grad():
        expected = whole(input_ids=ids_V[tokens_QW]).logits[..., ids_V]
        assert torch.allclose(trimmed(input_ids=tokens_QW).logits, expected, rtol=1e-12, atol=1e-12)
