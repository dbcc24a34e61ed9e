"""From a request to a table of rows, checked; and to the pieces that are computed together."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from tribute.config import ServingSettings
from tribute.corpus import TextFormat, text_queries
from tribute.errors import ConfigError, CorpusError
from tribute.serving.attributing.requested import month_of, pieces_of, query_ids, requested_table, tokens_in
from tribute.serving.schemas import Query

FORM = TextFormat(8)
SETTINGS = ServingSettings(max_queries=3, max_text_bytes=50)


@dataclass
class Shape:
    """What a table needs to know of a model."""

    form: TextFormat | None = FORM
    takes_prompts: bool = True

    def require_prompts(self, query_id: str) -> None:
        """As `LoadedModel.require_prompts`."""
        if not self.takes_prompts:
            raise ConfigError(f"Query {query_id} has a prompt")

    def check(self, query_id: str, features: list[float], label: int) -> None:
        """As `LoadedModel.check`, for two features."""
        if len(features) != 2 or label not in (0, 1):
            raise ConfigError(f"Query {query_id} does not fit")


def table(*queries: Query, model: Shape | None = None):
    names = [query.query_id or f"q{number}" for number, query in enumerate(queries)]
    return requested_table(model or Shape(), SETTINGS, queries, names)  # type: ignore[arg-type]


def test_texts_become_rows_of_windows() -> None:
    found = table(Query(text="ab"), Query(text="a longer text", weight=2.0, customer_id="c"))
    assert found.rows["tokens"].shape[1] == 8
    assert found.row_query.tolist() == [0, 1, 1]
    assert (found.weights.tolist(), found.customers) == ([1.0, 2.0], (None, "c"))


def test_a_query_without_a_time_is_of_now_and_one_with_it_of_its_month_in_utc() -> None:
    east = timezone(timedelta(hours=5))
    dated = Query.model_validate({"text": "ab", "time": "2026-03-01T03:00:00+05:00"})
    before = datetime.now(UTC)
    found = table(Query(text="ab"), dated)
    assert found.times[0] is not None
    assert before <= found.times[0] <= datetime.now(UTC)
    assert found.times[1] == datetime(2026, 3, 1, 3, tzinfo=east)
    assert month_of(datetime(2026, 3, 1, 3, tzinfo=east)) == "2026-02"
    assert month_of(datetime(2026, 12, 31, 23, tzinfo=timezone(timedelta(hours=-3)))) == "2027-01"


@pytest.mark.parametrize(
    ("queries", "told"),
    [
        ([Query(text="ab")] * 4, "at most 3 queries, this one has 4"),
        ([Query(text="ä" * 26)], "has 52 bytes of text, and 50 are taken"),
        ([Query(features=[1.0], label=0)], "has no `text`"),
    ],
)
def test_what_does_not_fit_is_refused(queries: list[Query], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        table(*queries)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (Query(text="ab"), "has no `features`"),
        (Query(features=[1.0, 2.0]), "has no `label`"),
        (Query(features=[1.0], label=0), "does not fit"),
    ],
)
def test_a_classifier_takes_features_and_a_label(query: Query, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        table(query, model=Shape(form=None))


def test_features_beyond_single_precision_are_refused() -> None:
    with pytest.raises(CorpusError):
        table(Query(features=[1e300, 0.0], label=0), model=Shape(form=None))


def test_a_prompt_is_context_and_counts_towards_the_length() -> None:
    found = table(Query(prompt="2 + 2 = ", text="4"), Query(text="ab"))
    assert found.rows["target"].sum(1).tolist() == [1, 1]
    assert bytes(found.rows["tokens"][found.rows["target"]].tolist()) == b"4b"
    with pytest.raises(ConfigError, match="has 52 bytes of text, and 50 are taken"):
        table(Query(prompt="a" * 50, text="ab"))
    with pytest.raises(ConfigError, match="Query q0 has a prompt"):
        table(Query(prompt="a", text="b"), model=Shape(takes_prompts=False))


@pytest.mark.parametrize(("given", "told"), [({"prompt": "a"}, "Give text too"), ({"text": "a"}, "one character")])
def test_a_text_of_which_nothing_is_predicted_is_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Query.model_validate(given)


def test_ids_repeat_under_a_key_and_only_there() -> None:
    queries = [Query(text="ab"), Query(text="ab", query_id="mine"), Query(text="ab")]
    first, again = query_ids(queries, "caller key"), query_ids(queries, "caller key")
    assert first == again
    assert first[1] == "mine"
    assert len({*first, *query_ids(queries, "caller other"), *query_ids(queries, None)}) == 7


def test_pieces_hold_every_row_once_and_no_two_queries() -> None:
    texts = ["x" * 100, "ab", "y" * 33]
    found = text_queries(["a", "b", "c"], texts, 8)
    pieces = pieces_of(found, 24)
    assert sum(piece.tokens for _, piece in pieces) == tokens_in(found) == found.rows["tokens"].size
    for query in range(3):
        rows = [piece.work.columns["tokens"] for index, piece in pieces if index == query]
        assert all(len(each) <= 3 for each in rows)
        np.testing.assert_array_equal(np.concatenate(rows), found.rows["tokens"][found.row_query == query])


def test_a_row_that_is_larger_than_a_piece_is_one() -> None:
    found = text_queries(["a"], ["x" * 30], 8)
    assert len(pieces_of(found, 1)) == len(found.rows["tokens"])
