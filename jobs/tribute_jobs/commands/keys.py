"""Commands about who may ask the service for what, and who did."""

from typing import Annotated

import typer

from tribute_jobs.commands.arguments import AsJson, OptionalPeriod, ProjectFile, opened
from tribute_jobs.service.access.caller import Role

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True)
app.add_typer(
    keys,
    name="keys",
    rich_help_panel="Serve and share",
    help="Make, list and revoke keys of the service, and see who asked for money or statements.",
)
Prefix = Annotated[
    str, typer.Argument(metavar="PREFIX", help="The 8 characters between the underscores of the key.")
]


def _since(text: str | None) -> str | None:
    """A day or a moment, as accesses store it; refused before anything slow is imported."""
    if text is None:
        return None
    from datetime import UTC, datetime, time

    from tribute.errors import ConfigError
    from tribute.files.moments import read_day, read_moment
    from tribute_jobs.service.access.store import moment_text

    try:
        return moment_text(datetime.combine(read_day(text), time(), UTC) if len(text) <= 10 else read_moment(text))
    except ValueError as problem:
        raise ConfigError(f"--since: {problem}") from None


@keys.command()
def create(
    project: ProjectFile,
    role: Annotated[
        Role,
        typer.Option(
            help="operator may do everything; ingest sends queries and reads their attributions; publisher reads "
            "one publisher's own rows."
        ),
    ],
    name: Annotated[str, typer.Option(help="Who or what will use it, for your own lists.")],
    publisher: Annotated[
        str | None, typer.Option(metavar="ID", help="The publisher of a key of role publisher.")
    ] = None,
    rate: Annotated[
        int | None, typer.Option(help="Requests a minute.", show_default="serving.requests_per_minute")
    ] = None,
    query_rate: Annotated[
        int | None, typer.Option(help="Queries a minute.", show_default="serving.queries_per_minute")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only its hash is stored.

    The first key ends the time in which callers on this machine need none. A running service knows a new key
    within two seconds.

    Example: tribute keys create project.yaml --role publisher --publisher aurora --name "Aurora, accounts"
    """
    settings = opened(project)
    from tribute_jobs.service.access.printing import print_created

    print_created(settings, role, name, publisher, (rate, query_rate), as_json)


@keys.command("list")
def list_keys(project: ProjectFile, as_json: AsJson = False) -> None:
    """List all keys with role, limits and last use, revoked ones too. The keys themselves are not stored."""
    settings = opened(project)
    from tribute_jobs.service.access.printing import print_keys

    print_keys(settings, as_json)


@keys.command()
def revoke(project: ProjectFile, prefix: Prefix, as_json: AsJson = False) -> None:
    """Make a key useless for good, and end its sessions. A running service refuses it within two seconds.

    Revoking the last key does not open the service: callers on this machine need a key from the first one on.

    Example: tribute keys revoke project.yaml 3f2a9c1b
    """
    settings = opened(project)
    from tribute_jobs.service.access.printing import print_revoked

    print_revoked(settings, prefix, as_json)


@keys.command()
def audit(
    project: ProjectFile,
    period: OptionalPeriod = None,
    publisher: Annotated[str | None, typer.Option(metavar="ID", help="Only its rows.", show_default="all")] = None,
    key: Annotated[str | None, typer.Option(metavar="PREFIX", help="Only this key.", show_default="all")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            callback=_since, metavar="TIME", help="From 2026-10-31 or 2026-10-31T12:00Z on.", show_default="all"
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=10**9, help="How many to show, the newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show who asked the service for money or statements, refused requests too.

    Every such request is recorded before it is answered. A change is recorded with status 102 before it begins;
    499 says that the client went away before the answer.

    Example: tribute keys audit project.yaml --period 2026-10 --publisher aurora
    """
    settings = opened(project)
    from tribute_jobs.service.access.printing import print_accesses

    print_accesses(settings, period, publisher, key, since, most, as_json)
