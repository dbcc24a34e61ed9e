"""The command that judges scores of any method, on a bank of retrained values."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tribute_jobs.commands.arguments import AsJson

if TYPE_CHECKING:
    from tribute.evaluation.bank import BankSettings
    from tribute.evaluation.bank_scores import BankScores

app = typer.Typer()

FIGURES = {
    "lds_half_other_seed": "LDS, random halves, other seeds",
    "lds_half_same_seed": "LDS, random halves, own seed",
    "lds_percent": "LDS, a percent left out, own seed",
    "leave_one_out": "leave-one-out, weight 0 in its place",
    "leave_one_out_deleted": "leave-one-out, by deletion",
}


@app.command(rich_help_panel="Prove")
def judge(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES.parquet|.npy",
            help="Columns example (or source), query and score; or the matrix of examples by queries.",
        ),
    ],
    setting: Annotated[str, typer.Option(metavar="NAME", help="A setting of the bank, such as logistic.")],
    bank: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The bank: a folder with SHA256SUMS and two files a setting.")
    ] = Path("tests/benchmarks/canonical/bank"),
    as_json: AsJson = False,
) -> None:
    """Judge any method's scores by models retrained without some of the training examples. Needs no project.

    The bank holds what these models measure, so nothing is trained here. Run this in a clone of the repository, or
    name its bank. NAME.json in it says how the models were made: data, model, seeds.

    Score each training example for each query of the setting, both numbered from 0 in the order of its data. A
    higher score says that the example raises the log-likelihood of the query, and so lowers its loss. Scores add
    up over examples; their unit does not matter.

    Printed are Spearman's correlation for left-out sets (LDS) and Pearson's for single examples (leave-one-out),
    averaged over queries, with 95% intervals from resampling queries and left-out sets.

    Example: tribute judge scores.parquet --setting logistic
    """
    from tribute.evaluation.bank import RetrainBank
    from tribute.evaluation.bank_scores import bank_scores, unordered_queries
    from tribute.evaluation.score_files import read_scores

    retrained = RetrainBank.read(bank, setting)
    scores_NQ = read_scores(scores, retrained.settings)
    found, unordered = bank_scores(scores_NQ, retrained), unordered_queries(scores_NQ)
    if as_json:
        published = [each.model_dump() for each in retrained.settings.published]
        row = {"setting": setting, **found.as_row(), "unordered_queries": unordered, "published": published}
        print(json.dumps(row, indent=2))
    else:
        _print(found, retrained.settings, unordered, scores.name)


def _print(found: "BankScores", settings: "BankSettings", unordered: int, name: str) -> None:
    """The row of the scores, and what others published for the setting."""
    from tribute_jobs.printing import Heading, print_table, terminal, wrapped

    console, row = terminal(), found.as_row()
    headings = [Heading("figure"), Heading("value"), Heading("95% interval")]
    rows = [
        [FIGURES[key], f"{figure['value']:.3f}", f"{figure['low']:.3f} to {figure['high']:.3f}"]
        if figure
        else [FIGURES[key], "–", "no such retrainings" if unordered < settings.queries else "no order"]
        for key, figure in row.items()
    ]
    print_table(console, headings, rows, f"{name} on {settings.name}")
    console.print("\n".join(wrapped(settings.description)) + "\n")
    if settings.published:
        headings = [Heading("published"), Heading("figure", right=False), Heading("value")]
        headings.append(Heading("source", right=False, spare=1))
        others = [
            [p.method, FIGURES.get(p.metric, p.metric), f"{p.value:g}", p.source] for p in settings.published
        ]
        print_table(console, headings, others)
    if unordered:
        console.print(f"{unordered} of {settings.queries} queries give all examples one score: they are left out")
    if any(row.values()) and all(figure["high"] < 0 for figure in row.values() if figure):
        console.print("All figures are below 0. Scores of a loss have the other sign: negate them")
