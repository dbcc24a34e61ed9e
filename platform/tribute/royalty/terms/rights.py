"""Who holds which part of a source, on which days: the book that turns source values into publisher values."""

import difflib
import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from tribute.errors import RightsError
from tribute.files.records import raise_if_any
from tribute.files.unknown import ALIKE
from tribute.ids import ascii_excerpt, look_alikes, short


@dataclass(frozen=True)
class Right:
    """A publisher's part of a source from `valid_from` up to, not including, `valid_to`; None is unbounded."""

    source_id: str
    publisher_id: str
    split: Fraction
    valid_from: date | None = None
    valid_to: date | None = None
    where: str = field(default="", compare=False)
    """Row of the file, for error messages; not part of the content."""

    def holds(self, day: date) -> bool:
        """Whether the right is in force on a day."""
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True)
class Publisher:
    """A payee."""

    publisher_id: str
    name: str


@dataclass(frozen=True)
class RightsBook:
    """All rights and their publishers.

    Raises:
        RightsError: two publishers' ids look alike, so that one could be paid for the other.
    """

    rights: tuple[Right, ...]
    publishers: tuple[Publisher, ...]
    origin: str = field(default="The rights book", compare=False)
    """File that it was read from, for messages; no part of the content."""

    def __post_init__(self) -> None:
        named = {right.publisher_id for right in self.rights} | {each.publisher_id for each in self.publishers}
        raise_if_any(
            f"{self.origin} names publishers whose ids look alike:",
            [
                f"{ascii_excerpt(one)} and {ascii_excerpt(other)}. Write both alike if they are one publisher, or "
                "rename one"
                for one, other in look_alikes(sorted(named))
            ],
        )

    @property
    def sha256(self) -> str:
        """Hash of the content: the same for CSV, YAML and Parquet, and for any order of the rows."""
        publishers = sorted([publisher.publisher_id, publisher.name] for publisher in self.publishers)
        rights = sorted(
            [r.source_id, r.publisher_id, str(r.split), _iso(r.valid_from), _iso(r.valid_to)] for r in self.rights
        )
        content = json.dumps({"publishers": publishers, "rights": rights}, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def period_splits(self, first: date, after: date, sources: Iterable[str]) -> dict[tuple[str, str], Fraction]:
        """Each publisher's part of each source over the days from `first` up to, not including, `after`.

        A right that holds for part of the period counts by its days: split x days in force / days. The parts
        of a source sum to exactly 1. Sources of the book that are not asked for are left out.

        Raises:
            RightsError: a source has no right, or its splits do not sum to 1 on some day; names source, days,
                sum and rows.
        """
        of_source: dict[str, list[Right]] = defaultdict(list)
        for right in self.rights:
            of_source[right.source_id].append(right)
        wanted = sorted(set(sources))
        spare = sorted(of_source.keys() - set(wanted))
        problems = [problem for name in wanted for problem in _gaps(name, of_source[name], first, after, spare)]
        raise_if_any(f"{self.origin} does not say whose the money is:", problems)
        splits: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        for name in wanted:
            for day, until, held in _stretches(of_source[name], first, after):
                for right in held:
                    splits[name, right.publisher_id] += right.split * Fraction(
                        (until - day).days, (after - first).days
                    )
        return dict(sorted(splits.items()))


def rights_of_publishers(publisher_of_source: Mapping[str, str]) -> RightsBook:
    """The book without a file: each source belongs wholly to the publisher that its metadata names.

    A publisher's id is its name in lower-case ASCII letters, digits and hyphens; names that would get the same
    id get a part of their hash behind it.

    Raises:
        RightsError: a source names no publisher.
    """
    nameless = sorted(source for source, name in publisher_of_source.items() if not name.strip())
    if nameless:
        raise RightsError(
            f"Source {short(nameless[0])} names no publisher. Name its publisher in a file: rights.sources"
        )
    ids = _publisher_ids(set(publisher_of_source.values()))
    rights = (Right(source, ids[name], Fraction(1)) for source, name in sorted(publisher_of_source.items()))
    publishers = (Publisher(publisher_id, name) for name, publisher_id in ids.items())
    return RightsBook(
        tuple(rights), tuple(sorted(publishers, key=lambda p: p.publisher_id)), "The corpus's own metadata"
    )


def _gaps(source: str, rights: Sequence[Right], first: date, after: date, spare: Sequence[str]) -> list[str]:
    """Problems of one source. `spare`: sources of the book that nobody asks for; one may be this, misspelt."""
    if not rights:
        near = [name for name in spare if name.casefold() == source.casefold()]
        near = near or difflib.get_close_matches(source, spare, 1, ALIKE)
        said = f" There is one for {short(near[0])}, which is no source of the corpus." if near else ""
        return [f"source {short(source)} has no right.{said} Add a row for it: source_id, publisher_id, split"]
    problems = []
    for day, until, held in _stretches(rights, first, after):
        total = sum((right.split for right in held), Fraction(0))
        if total != 1:
            rows = ", ".join(right.where for right in held if right.where)
            problems.append(
                f"source {short(source)}: splits sum to {total} from {day} to {until - timedelta(days=1)}"
                f"{f' ({rows})' if rows else ''}. Correct split, valid_from or valid_to so that they sum to 1"
            )
    return problems


def _stretches(rights: Sequence[Right], first: date, after: date) -> Iterator[tuple[date, date, list[Right]]]:
    """The period cut where a right begins or ends, each part with the rights in force."""
    bounds = {day for right in rights for day in (right.valid_from, right.valid_to) if day is not None}
    cuts = sorted({first, after} | {day for day in bounds if first < day < after})
    for day, until in pairwise(cuts):
        yield day, until, [right for right in rights if right.holds(day)]


def _publisher_ids(names: set[str]) -> dict[str, str]:
    slugs = {name: _slug(name) for name in sorted(names)}
    taken = Counter(slugs.values())
    return {
        name: slug if taken[slug] == 1 else f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for name, slug in slugs.items()
    }


def _slug(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:48].strip("-") or "publisher"


def _iso(day: date | None) -> str:
    return "" if day is None else day.isoformat()
