"""What brings the rows of a damaged table back: a backup, or the stage that makes them again."""

TOGETHER = (
    ("corpus_sources", "corpus_documents", "corpus_duplicates"),
    ("trajectories", "learning"),
    ("simulations",),
    ("retrains",),
    ("influence", "influence_tokens", "predicted", "estimates", "queries"),
    ("measurements", "precisions"),
    ("evaluations", "certificates"),
    ("publishers", "rights"),
    ("valuations",),
)
"""Tables that one stage makes again, from inputs and artifacts, if all of them are taken away."""
REGISTER = "_tables"
"""The folder of the lake that has a file for every table with a commit."""


def remedy(table: str) -> str:
    """What to do about a damaged file of a table, with a backup and without."""
    again = next((group for group in TOGETHER if table in group), None)
    if table == "usage_events":
        return (
            f"Restore it from a backup. Without one, move the folder {table} and {REGISTER}/{table} out of the "
            "lake and send the events again: tribute ingest."
        )
    if again is None:
        return f"Restore it from a backup: no stage can make rows of {table} again."
    moved = " and ".join(filter(None, [", ".join(again[:-1]), again[-1]]))
    these = f"folders {moved}, and their" if len(again) > 1 else f"folder {moved}, and its"
    name = "names" if len(again) > 1 else "name"
    return (
        f"Restore it from a backup. Without one, move the {these} {name} in {REGISTER}, out of the lake and run "
        "each month again, with its files and settings: tribute run PROJECT.yaml --period MONTH."
    )
