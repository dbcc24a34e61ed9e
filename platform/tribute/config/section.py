"""What every part of `project.yaml` shares: it is immutable, strict about its keys, and has a fingerprint."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of `project.yaml`: immutable, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def fingerprint(self) -> str:
        """SHA-256 of the settings; a file counts by its name, so that a project can live anywhere."""
        content = json.dumps(self.model_dump(), sort_keys=True, default=lambda path: path.name)
        return hashlib.sha256(content.encode()).hexdigest()
