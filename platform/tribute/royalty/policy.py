"""How signed values become shares, as a named, versioned and hashed text: what the payer commits itself to."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """A rule of division; a change of its text is a new version."""

    name: str
    version: str
    text: str

    @property
    def sha256(self) -> str:
        """Hash of name, version and text."""
        return hashlib.sha256("\n".join((self.name, self.version, self.text)).encode()).hexdigest()


ATTRIBUTION_CLIP_AGGREGATE = Policy(
    name="attribution-clip-aggregate",
    version="1",
    text=(
        "The value of a source is what the model's answers of the period would have lost in log-likelihood "
        "(nats) had the source been absent from its training; it is drawn towards the source's share of the "
        "training tokens by the shrinkage stated. A publisher's value is the signed sum over its sources, by its "
        "split of each. A sum below zero is paid zero and is never a debt. A publisher's share is its value "
        "divided by the sum of all values above zero; if none is above zero, shares follow training tokens. The "
        "pool is divided in whole minor units by largest remainder, ties to the smaller publisher id, so the "
        "amounts sum to the pool. This division is not monotone: a larger pool can cost a publisher one minor "
        "unit. A publisher's amount is divided over its sources by their values above zero, or by training tokens "
        "if it has none; this moves no money between publishers."
    ),
)
