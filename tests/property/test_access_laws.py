"""Laws of access: which keys open the service after any history, and what a limit lets through at most."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from tribute_jobs.service.access.caller import Caller, Role
from tribute_jobs.service.access.keys import FRESH_S, ApiKey, Keys
from tribute_jobs.service.access.limits import BURST_S, RateLimits
from tribute_jobs.service.access.sessions import Sessions
from tribute_jobs.service.access.store import AccessFile
from tribute_jobs.service.problems import HttpProblem


class Clock:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class KeyHistory(RuleBasedStateMachine):
    """An operator's commands and a running service, each with the file open, against a dictionary."""

    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.clock = TemporaryDirectory(), Clock()
        path = Path(self.folder.name, "service", "access.sqlite")
        self.files = [AccessFile(path), AccessFile(path)]
        self.operator, self.service = Keys(self.files[0]), Keys(self.files[1], self.clock)
        self.sessions = Sessions(self.files[1], self.service)
        self.valid: dict[str, ApiKey] = {}
        self.tokens: dict[str, str] = {}
        self.ever = False

    @rule(target=made, role=st.sampled_from(Role), rate=st.none() | st.integers(1, 10**9))
    def create(self, role: Role, rate: int | None) -> tuple[ApiKey, str]:
        """The operator makes a key."""
        publisher = "p1" if role == Role.PUBLISHER else None
        key, text = self.operator.create("k", role, publisher, rate)
        self.valid[text], self.ever = key, True
        return key, text

    @rule(key=made)
    def revoke(self, key: tuple[ApiKey, str]) -> None:
        """The operator revokes a key, perhaps again."""
        _, done = self.operator.revoke(key[0].prefix)
        assert done == (key[1] in self.valid)
        self.valid.pop(key[1], None)

    @rule(key=made)
    def sign_in(self, key: tuple[ApiKey, str]) -> None:
        """A person shows a key that the service still takes."""
        found = self.service.key_of(key[1])
        if found is not None:
            self.tokens[self.sessions.begin(found)] = key[1]

    @rule()
    def mark(self) -> None:
        """The service notes who was there; that changes no right."""
        for key in list(self.valid.values())[:1]:
            self.service.mark_used(key.prefix)

    @invariant()
    def the_operator_sees_what_is_valid(self) -> None:
        """In the process that made or revoked a key, it counts at once."""
        assert {text for text in self.valid if self.operator.key_of(text)} == self.valid.keys()
        assert {key.prefix for key in self.operator.listed() if not key.revoked} == {
            key.prefix for key in self.valid.values()
        }

    @invariant()
    def the_service_lets_in_whom_it_should(self) -> None:
        """Once it may no longer trust what it read, exactly the valid keys and their sessions are let in."""
        self.clock.now += FRESH_S
        for text, key in self.valid.items():
            found = self.service.key_of(text)
            assert found is not None and found.caller() == key.caller()
        for token, text in self.tokens.items():
            assert (self.sessions.caller(token) is not None) == (text in self.valid)
        assert self.service.any_active() == bool(self.valid)
        assert self.service.never_made() == (not self.ever)

    def teardown(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()
        self.folder.cleanup()


KeyHistory.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestKeyHistory = KeyHistory.TestCase


@settings(max_examples=200, deadline=None)
@given(
    limit=st.integers(1, 100_000),
    asked=st.lists(st.tuples(st.floats(0, 100), st.integers(1, 300)), min_size=1, max_size=50),
)
def test_a_limit_holds_over_any_history(limit: int, asked: list[tuple[float, int]]) -> None:
    """What passed before a request, and what the bucket has to hold for it, never exceed limit and burst."""
    clock, caller = Clock(), Caller("aaaaaaaa", "feed", Role.INGEST)
    limits, passed = RateLimits(None, limit, clock), 0
    most = max(1.0, limit / 60 * BURST_S)
    for wait, count in asked:
        clock.now += wait
        room = most + clock.now * limit / 60 - passed
        try:
            limits.take_queries(caller, count)
        except HttpProblem as problem:
            clock.now += int(problem.headers["Retry-After"])  # as long as told is enough
            limits.take_queries(caller, count)
        else:
            assert min(count, most) <= room * (1 + 1e-9) + 1e-6
        passed += count
