"""The markets by name, and which of their worlds judge."""

from collections.abc import Callable

from tests.benchmarks.markets import images, texts
from tests.benchmarks.markets.world import World

MARKETS: dict[str, Callable[[int, str], World]] = {
    "size": images.size,
    "quality": images.quality,
    "text": texts.text,
    "many": images.many,
    "poisoned": images.poisoned,
}
SETTINGS = ("smooth", "rough")
JUDGING, TUNING = range(3), range(10, 12)
"""Splits that judge, and those on which the product's model was tuned."""


def worlds(markets: tuple[str, ...] = tuple(MARKETS), splits: range = JUDGING) -> list[str]:
    """Names of worlds, MARKET-SPLIT-SETTING."""
    return [f"{market}-{split}-{setting}" for market in markets for split in splits for setting in SETTINGS]


def build_world(name: str) -> World:
    """The world of a name."""
    market, split, setting = name.split("-")
    return MARKETS[market](int(split), setting)
