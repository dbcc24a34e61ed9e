"""Metadata of installed distributions: publisher, version and licence."""

import re
import sys
from email.utils import getaddresses
from importlib.metadata import Distribution
from typing import Protocol

from license_expression import ExpressionError, get_spdx_licensing

from tribute.corpus.sources import Source

NO_ASSERTION = "NOASSERTION"
STANDARD_LIBRARY = Source(
    "python-stdlib",
    "Python standard library",
    "Python Software Foundation",
    ".".join(str(part) for part in sys.version_info[:3]),
    "PSF-2.0",
)

# Classifiers that correspond to exactly one SPDX licence, unlike "BSD License".
CLASSIFIED = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
}

_licensing = get_spdx_licensing()


class Metadata(Protocol):
    """The methods of a distribution's metadata that this module uses."""

    def get(self, name: str) -> str | None:
        """The first value of a field."""
        ...

    def get_all(self, name: str) -> list[str] | None:
        """All values of a field."""
        ...


def describe(distribution: Distribution) -> Source:
    """Describe a distribution as a source, with its normalised name as id."""
    metadata: Metadata = distribution.metadata  # type: ignore[assignment]
    name = metadata.get("Name") or "unknown"
    return Source(
        re.sub(r"[-_.]+", "-", name).lower(),
        name,
        publisher(metadata) or name,
        metadata.get("Version") or "",
        license_expression(metadata),
    )


def publisher(metadata: Metadata) -> str | None:
    """The first author, else the first maintainer."""
    for field in ("Author", "Author-email", "Maintainer", "Maintainer-email"):
        text = metadata.get(field) or ""
        name = next((name for name, _ in getaddresses([text]) if name), "") if "@" in text else text.split(",")[0]
        name = re.sub(r"\s+", " ", name).strip(" \"'")
        if name and name.lower() not in ("unknown", "none"):
            return name
    return None


def license_expression(metadata: Metadata) -> str:
    """The SPDX expression in the metadata, or NOASSERTION."""
    for field in ("License-Expression", "License"):
        text = (metadata.get(field) or "").strip()
        if text and len(text) < 100:
            try:
                return str(_licensing.parse(text, validate=True))
            except (ExpressionError, AttributeError):
                continue
    found = {CLASSIFIED[c] for c in metadata.get_all("Classifier") or [] if c in CLASSIFIED}
    claimed = [c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    return found.pop() if len(found) == 1 and len(claimed) == 1 else NO_ASSERTION
