"""A small transformer on text: the setting, its windows, its retrainings, and which methods it is given."""

from tests.benchmarks.canonical.text.making import described_text, make_text, retrained_text
from tests.benchmarks.canonical.text.setting import TRANSFORMER, TextSetting
from tests.benchmarks.canonical.text.variants import FURTHER_ON_TEXT, WITHOUT_ON_TEXT

__all__ = [
    "FURTHER_ON_TEXT",
    "TRANSFORMER",
    "WITHOUT_ON_TEXT",
    "TextSetting",
    "described_text",
    "make_text",
    "retrained_text",
]
