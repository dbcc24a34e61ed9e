"""The outbox against a model of it: dictionaries. Processes die at any moment, and the file is opened again."""

import json
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.storage.outbox.uses import EXACT, RUN, Use, period_of, submission
from tribute_storage.outbox import ContentConflict, KeyedReply, Outbox, Recorded
from tribute_storage.outbox.readings import Reading

ANY = 10**6
USES = st.builds(
    Use,
    query_id=st.sampled_from("abcdefgh"),
    content=st.sampled_from(["one", "two"]),
    period=st.sampled_from(["2026-10", "2026-11"]),
    dated=st.booleans(),
    weight=st.sampled_from([0.0, 1.0, 2.5]),
    unread=st.booleans(),
)
KEYS = st.none() | st.tuples(st.sampled_from("kl"), st.sampled_from(["first", "second"]))


class OutboxMachine(RuleBasedStateMachine):
    """Each id stands for the first use of it, for ever; every use leaves the outbox once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.known: dict[str, Use] = {}
        self.replies: dict[str, tuple[str, dict]] = {}
        self.unread: set[str] = set()
        self.left: list[str] = []

    @initialize()
    def begin(self) -> None:
        """Open it."""
        self.outbox = Outbox(self.folder / "outbox.sqlite", RUN)

    @rule(requests=st.lists(st.tuples(st.lists(USES, min_size=1, max_size=3), KEYS), min_size=1, max_size=3))
    def record(self, requests: list[tuple[list[Use], tuple[str, str] | None]]) -> None:
        """Some requests in one commit."""
        submissions = [
            submission(uses, key and KeyedReply(*key, json.dumps({"queries": [*map(_told, uses)]}).encode()[:-1]))
            for uses, key in requests
        ]
        for found, (uses, key) in zip(self.outbox.record(submissions), requests, strict=True):
            expected = self.expected(uses, key)
            if expected is None:
                assert isinstance(found, ContentConflict)
                continue
            assert isinstance(found, Recorded)
            assert (found.new, found.body and json.loads(found.body)) == expected

    def expected(self, uses: list[Use], key: tuple[str, str] | None) -> tuple[int, dict | None] | None:
        """How many are new, and the reply; None: it is refused."""
        if key is not None and key[0] in self.replies:
            body_sha256, body = self.replies[key[0]]
            return (0, body) if body_sha256 == key[1] else None
        fresh: dict[str, Use] = {}
        for use in uses:
            before = self.known.get(use.query_id) or fresh.setdefault(use.query_id, use)
            if before.content != use.content or (use.dated and before.period != use.period):
                return None
        self.known |= fresh
        self.unread |= {name for name, use in fresh.items() if use.unread}
        if key is None:
            return len(fresh), None
        queries = [_told(use) | {"period": self.known[use.query_id].period} for use in uses]
        self.replies[key[0]] = key[1], {"queries": queries, "recorded": len(fresh)}
        return len(fresh), self.replies[key[0]][1]

    @rule(most=st.integers(1, 4))
    def read_out(self, most: int) -> None:
        """Somebody reads sampled uses out."""
        leased = self.outbox.readings.lease(most)
        assert {name for name, _ in leased} <= self.unread
        assert all(content == self.known[name].content for name, content in leased)
        self.outbox.readings.complete([Reading(name, EXACT, None) for name, _ in leased])
        self.unread -= {name for name, _ in leased}

    @rule(most=st.integers(1, 4), dies=st.booleans())
    def flush(self, most: int, dies: bool) -> None:
        """A batch goes to the lake; perhaps the process dies before it can say so."""
        sealed = self.outbox.batches.seal(most, ANY, self.outbox.batches.newest())
        if sealed is None:
            return
        if dies:
            self.die()
            again = self.outbox.batches.seal(1, 1, 0)
            assert again == sealed
        ids = sealed.uses["query_id"].to_pylist()
        assert not {*ids} & self.unread
        assert set(sealed.uses["influence_nats"].to_pylist()) == {EXACT}
        self.outbox.batches.finish(sealed.number)
        self.left += ids

    @rule()
    def die(self) -> None:
        """The process ends without a word, and another one opens the file."""
        self.outbox = Outbox(self.folder / "outbox.sqlite", RUN)

    @rule()
    def forget(self) -> None:
        """What is old is forgotten; nothing is."""
        self.outbox.forget()

    @invariant()
    def it_holds_what_was_recorded_and_did_not_leave(self) -> None:
        """Every known use waits, or has left once."""
        if not hasattr(self, "outbox"):
            return
        assert len(self.left) == len({*self.left})
        assert self.outbox.batches.waiting() == len(self.known) - len(self.left)
        assert self.outbox.readings.waiting() == len(self.unread)
        for name, use in self.known.items():
            assert period_of(self.outbox, name) == use.period
            assert (self.outbox.use(name) is None) == (name in self.left)
            assert (self.outbox.content(name) is not None) == (name in self.unread)
        for period in ("2026-10", "2026-11"):
            weights = [use.weight for use in self.known.values() if use.period == period]
            assert self.outbox.counted(period) == sum(weights)

    def teardown(self) -> None:
        """Delete the file."""
        shutil.rmtree(self.folder)


def _told(use: Use) -> dict[str, str]:
    return {"query_id": use.query_id, "period": use.period}


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
