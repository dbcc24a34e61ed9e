"""`tribute backup` and `tribute restore`."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tribute_jobs.commands.arguments import AsJson, opened
from tribute_jobs.exit_codes import ExitCode

if TYPE_CHECKING:
    from tribute_jobs.backup.manifest import BackupManifest
    from tribute_jobs.backup.target import Target

app = typer.Typer()
PANEL = "Back up"
Uri = Annotated[str, typer.Argument(metavar="URI", help="A folder, or a place such as s3://bucket/backups.")]


@app.command(rich_help_panel=PANEL)
def backup(
    places: Annotated[
        list[str],
        typer.Argument(metavar="PROJECT.yaml URI", help="The project, and a folder or s3://bucket/backups."),
    ],
    listed: Annotated[bool, typer.Option("--list", help="List the backups of URI instead.")] = False,
    checked: Annotated[
        bool, typer.Option("--check", help="Read all backups of URI instead, and name what is damaged.")
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(help="Then delete all but the newest N, and what only they hold.", metavar="N", min=1),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Store a project with all it made: the lake, checkpoints, statements, and the files that it reads.

    A backup shows one moment, and runs go on meanwhile. Each stores only what is new. The signing key is never
    part of it: keep that in a place of its own.

    Example: tribute backup project.yaml s3://bucket/backups

    Example: tribute backup --list s3://bucket/backups

    Example: tribute backup --check s3://bucket/backups
    """
    instead = "--list" if listed else "--check" if checked else ""
    if len(places) != (1 if instead else 2):
        wanted = f"{instead} URI" if instead else "PROJECT.yaml URI"
        raise typer.BadParameter(f"expected {wanted}, got {' '.join(places)}")
    if (instead and keep) or (listed and checked):
        raise typer.BadParameter(f"{'--keep' if keep else '--check'} does not go with {instead}")
    project = None if instead else opened(Path(places[0]))

    from tribute_jobs.backup.creation import back_up
    from tribute_jobs.backup.target import Target
    from tribute_jobs.progress import long_step

    target = Target(places[-1])
    if listed:
        _print_list(target, as_json)
        return
    if project is None:
        _check(target, as_json)
        return
    with long_step("backup") as advanced, redirect_stdout(sys.stderr):  # a task's own code may print
        made = back_up(Path(places[0]), project, target, advanced)
    deleted = target.prune(keep) if keep else []
    fields = {"new_bytes": made.written, "deleted": deleted}
    lines = [f"{_size(made.written)} were new; without the signing key"]
    lines += [f"{len(deleted)} older backups were deleted: {', '.join(deleted)}"] if deleted else []
    _print(made.backup_id, made.manifest, as_json, lines, fields)


@app.command(rich_help_panel=PANEL)
def restore(
    uri: Uri,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, or an empty one.")],
    chosen: Annotated[
        str | None,
        typer.Option(
            "--backup", metavar="ID", help="A backup, by the beginning of its id.", show_default="newest"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a project together from a backup, in any folder of any machine. Everything is checked by its SHA-256.

    Then everything works but closing a month, which needs the signing key put back.

    Example: tribute restore s3://bucket/backups my-project
    """
    from tribute_jobs.backup.restoration import restore as put_together
    from tribute_jobs.backup.target import Target
    from tribute_jobs.progress import long_step

    with long_step("restore") as advanced:
        restored = put_together(Target(uri), folder, advanced, chosen)
    manifest = restored.manifest
    key = folder / manifest.signing_key
    lines = [f"restored to {folder}"]
    lines += [f"{each.key} was {each.was}, and is {each.now} now" for each in manifest.settings]
    lines += [] if key.exists() else [f"Closing a month needs the signing key: put it to {key}"]
    lines += [f"Check everything: tribute doctor {restored.project_file}"]
    fields = {"project_file": str(restored.project_file), "settings": {e.key: e.now for e in manifest.settings}}
    _print(restored.backup_id, manifest, as_json, lines, fields)


def _print(
    backup_id: str, manifest: "BackupManifest", as_json: bool, lines: Sequence[str], fields: Mapping[str, object]
) -> None:
    """What was done with a backup: lines for people, or one JSON object."""
    from tribute_jobs.printing import styled, terminal

    if as_json:
        print(json.dumps(_fields(backup_id, manifest) | dict(fields)))
        return
    console = terminal()
    console.print(f"Backup {backup_id}: {len(manifest.files):,} files, {_size(manifest.size)}", soft_wrap=True)
    for line in lines:
        console.print(styled(f"  {line}"), soft_wrap=True)
    for note in manifest.notes:
        console.print(styled("  ", ("note", "yellow"), f" {note}"), soft_wrap=True)


def _print_list(target: "Target", as_json: bool) -> None:
    from tribute_jobs.printing import Heading, print_table, terminal

    found = [target.manifest(each) for each in target.ids()]
    if as_json:
        print(json.dumps([_fields(backup_id, manifest) for backup_id, manifest in found], indent=2))
        return
    rows = [
        [
            each,
            f"{manifest.time:%Y-%m-%d %H:%M:%S} UTC",
            manifest.project,
            f"{len(manifest.files):,}",
            _size(manifest.size),
        ]
        for each, manifest in found
    ]
    print_table(
        terminal(),
        [
            Heading("backup", False),
            Heading("time", False),
            Heading("project", False),
            Heading("files"),
            Heading("size"),
        ],
        rows,
    )


def _check(target: "Target", as_json: bool) -> None:
    """Print what is damaged; exit code 1 if anything is."""
    from tribute_jobs.backup.verification import damages
    from tribute_jobs.progress import long_step

    with long_step("check") as advanced:
        found = damages(target, advanced)
    if as_json:
        print(json.dumps({"backups": len(target.ids()), "damaged": found}))
    else:
        print("\n".join(found or [f"{target.uri}: {len(target.ids())} backups, all whole"]))
        if found:
            print(
                "Delete these files. The next backup of a whole project stores them again: "
                f"tribute backup PROJECT.yaml {target.uri}"
            )
    raise typer.Exit(ExitCode.FOUND if found else ExitCode.DONE)


def _fields(backup_id: str, manifest: "BackupManifest") -> dict[str, object]:
    return {
        "backup": backup_id,
        "time": manifest.time.isoformat(),
        "project": manifest.project,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "signing_key": manifest.signing_key,
        "notes": list(manifest.notes),
    }


def _size(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
