"""Reference page of the command line, made from the commands themselves."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from tribute_jobs.cli import app
from tribute_jobs.exit_codes import ExitCode

INTRODUCTION = """# Command line

Every command prints a table for people, or JSON with `--json`. A command that does not do its work says why in one
message on standard error, with the remedy. [When it stops](../how-to/when-it-stops.md) lists the faults.

## Exit codes

| code | meaning |
|---|---|
{codes}

"""


def command_line_page() -> str:
    """Every command with its help text, arguments and options, in the groups of `tribute --help`."""
    group = typer.main.get_command(app)
    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, command in _commands("tribute", group):
        groups.setdefault(getattr(command, "rich_help_panel", None) or "", []).append((name, command))
    codes = "\n".join(f"| {int(code)} | {code.doc} |" for code in sorted(ExitCode))
    parts = [INTRODUCTION.format(codes=codes)]
    for title, commands in groups.items():
        parts += [f"## {_plain(title)}\n"] if title and isinstance(title, str) else []
        parts += ["\n".join(_command(name, command)) for name, command in commands]
    return "\n".join(parts) + "\n"


def _plain(title: str) -> str:
    return re.sub(r"\[/?[a-z ]+\]", "", title)


def _commands(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    """All commands of a group; a command of a group within it stands under that group's panel."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            for inner, one in _commands(f"{prefix} {name}", command):
                one.rich_help_panel = getattr(command, "rich_help_panel", None)
                yield inner, one
        else:
            yield f"{prefix} {name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    words = [name, *(_metavar(each) for each in arguments), *(["[OPTIONS]"] if options else [])]
    yield f"### {name}\n"
    yield f"```text\n{' '.join(words)}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    if arguments or options:
        yield "| parameter | default | meaning |\n|---|---|---|"
        yield from (_row(_metavar(each), each) for each in arguments)
        yield from (_row(", ".join([*each.opts, *each.secondary_opts]), each) for each in options)
        yield ""


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _row(name: str, parameter: Any) -> str:
    default = parameter.default() if callable(parameter.default) else parameter.default
    required = "required" if parameter.required else "none"
    if parameter.name == "period" and not parameter.required and default is not None:
        default = "this month"
    shown = required if default in (None, "", False, ()) else f"`{default}`"
    return f"| `{name}` | {shown} | {(parameter.help or '').replace('|', chr(92) + '|')} |"
