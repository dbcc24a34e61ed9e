"""What is said of a month in which nothing was asked: it may be right, or the month be mistyped."""

from tribute.config import IngestedQueriesSettings, Project, UsageQueriesSettings
from tribute.corpus import usage_queries
from tribute_jobs.period.sequence import NAMED
from tribute_storage import connect


def quiet_month(project: Project, period: str) -> str:
    """A warning that nothing was asked in a period, with the latest months in which something was."""
    months = months_with_queries(project)
    known = f"There are some in {', '.join(months[-NAMED:])}" if months else "There are none in any month"
    return (
        f"No queries in {period}: every value is 0. {known}. If {period} is right and nothing was asked, all is "
        "well; else name the right month, or bring its queries in: the usage file under `queries`, or tribute "
        "ingest PROJECT.yaml FILE"
    )


def months_with_queries(project: Project) -> list[str]:
    """The months that have queries, `YYYY-MM`, in order: in the usage file, among ingested events, attributed."""
    settings, window = project.queries, getattr(project.corpus, "window", None)
    found = usage_queries(settings.path, window).months() if isinstance(settings, UsageQueriesSettings) else []
    ingested = "union select period from usage" if isinstance(settings, IngestedQueriesSettings) else ""
    with connect(project.lake_root) as connection:
        rows = connection.execute(f"select period from queries {ingested}").fetchall()
    return sorted({*found, *(period for (period,) in rows)})
