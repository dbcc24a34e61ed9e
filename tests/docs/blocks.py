"""Code blocks of a Markdown page, and running them in a folder as a reader would."""

import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projects import settings
from tribute.config import Project, load_project
from tribute.royalty.proof.__main__ import main as verify
from tribute_jobs.cli import main

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r'title="([^"]+)"')
ECHO = re.compile(r"echo (?P<text>.*?) \| (?P<rest>tribute .*)", re.DOTALL)
OUTPUT = "text"
"""Language of what is shown and not run: output, file trees, equations."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is (if it has a title), and where it begins."""

    language: str
    title: str | None
    body: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    for match in FENCE.finditer(page):
        info = match["info"].strip()
        language = OUTPUT if f".{OUTPUT}" in info else info.split(" ")[0]
        title = TITLE.search(info)
        yield Block(language, title[1] if title else None, match["body"], page[: match.start()].count("\n") + 2)


def commands(body: str) -> Iterator[str]:
    """Command lines of a shell block; quoted text may span lines, comments are left out."""
    pending = ""
    for line in body.splitlines():
        pending = f"{pending}\n{line}" if pending else line
        if pending.replace('\\"', "").count('"') % 2 == 0:
            if pending.strip() and not pending.startswith("#"):
                yield pending.strip()
            pending = ""
    assert not pending, f"a quote is not closed: {pending}"


class Reader:
    """Someone who follows a page in a folder; what earlier blocks defined is there for later ones."""

    def __init__(
        self, page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: dict[str, str]
    ) -> None:
        self.page, self.folder, self.patch, self.elsewhere = page, folder, monkeypatch, elsewhere
        self.names: dict[str, Any] = {"__name__": "__page__"}
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("COLUMNS", "200")

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.title:
            path = self.folder / block.title
            path.write_text(block.body)
        if block.language == "python":
            code = compile("\n" * (block.line - 1) + block.body, str(self.page), "exec")
            if not block.title:
                exec(code, self.names)
        elif block.language == "yaml":
            self.check_settings(block)
        elif block.language == "bash":
            for command in commands(block.body):
                self.run(command)
        else:
            assert block.title, f"{self.page}:{block.line}: a block of {block.language!r} that nothing runs"

    def check_settings(self, block: Block) -> None:
        """A whole project file loads; a part of one is valid in a project that has the rest."""
        if block.title:
            load_project(self.folder / block.title)
        else:
            Project.model_validate(settings(simulation={}) | yaml.safe_load(block.body))

    def run(self, command: str) -> None:
        """Run a command of tribute in this process, unless another test is named that runs it."""
        if any(command == known or command.startswith(f"{known} ") for known in self.elsewhere):
            return
        piped = ECHO.fullmatch(command)
        if piped:
            self.patch.setattr(sys, "stdin", io.StringIO(shlex.split(piped["text"])[0]))
            command = piped["rest"]
        words = shlex.split(command)
        if words[0] == "tribute-verify":
            assert verify(words[1:]) == 0, f"{self.page}: `{command}` found a problem"
            return
        if words[0] == "curl":
            asked = subprocess.run(words, capture_output=True, text=True)
            assert asked.returncode == 0, f"{self.page}: `{command}` failed: {asked.stderr}"
            return
        assert words[0] == "tribute", f"{self.page}: no test runs `{command}`"
        self.patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (0, None), f"{self.page}: `{command}` ended with {ended.value.code}"
