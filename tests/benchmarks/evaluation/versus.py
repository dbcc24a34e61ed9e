"""Each peer, tribute's version of its method, and tribute's best at the same cost, on the same queries.

Legend: Q queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.evaluation.truth import Costs

SAME = {
    "TRAK, margin, 1 model": "trak",
    "TRAK, margin, 10 models": "trak, 10 models",
    "kronfluence EK-FAC": "ekfac",
    "dattri IF-CG": "conjugate_gradient",
    "dattri TracIn": "tracin",
    "dattri Grad-Dot": "gradient_dot",
}
"""Tribute's version of a peer's method, by how the peer's name begins; the last-layer method has none."""
SAME_LEAD = 0.005
"""Half of the last digit shown: equal formulas differ by rounding, with a standard error of about 0."""


@dataclass(frozen=True)
class Scored:
    """A method on the judged queries: LDS of each (half, other seed), and its costs."""

    lds_Q: NDArray[np.float64]
    costs: Costs


def versus(own: Mapping[str, Scored], peers: Mapping[str, Scored]) -> list[dict[str, Any]]:
    """A line for every peer: the same method here, and the best method here that costs a query no more."""
    lines = []
    for name, peer in peers.items():
        same = next((ours for begins, ours in SAME.items() if name.startswith(begins)), None)
        most = peer.costs.query_in_forwards
        cheaper = [n for n, each in own.items() if each.costs.query_in_forwards <= most]
        best = max(cheaper, key=lambda n: float(np.nanmean(own[n].lds_Q)), default=None)
        compared = {"same": _compared(same, own, peer), "best": _compared(best, own, peer)}
        lines.append({"peer": name} | _figures(peer) | compared)
    return lines


def show_versus(setting: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """The lines as a table: LDS, forward passes a query, and our lead with its standard error."""
    table = Table(title=f"{setting}: peers, {setting}'s first queries", title_justify="left")
    for name in ("peer", "LDS", "query", "the same here", "LDS", "query", "lead", "holds"):
        table.add_column(name)
    for name in ("best here at this cost", "LDS", "query", "lead"):
        table.add_column(name)
    for line in lines:
        same, best = line["same"], line["best"]
        cells = [line["peer"], f"{line['lds']:.2f}", f"{line['query_in_forwards']:,.0f}"]
        cells += [*_cells(same), "" if same is None else "yes" if same["holds"] else "NO", *_cells(best)]
        table.add_row(*cells)
    Console(width=230).print(table)


def _figures(scored: Scored) -> dict[str, Any]:
    return {"lds": float(np.nanmean(scored.lds_Q))} | scored.costs._asdict()


def _compared(method: str | None, own: Mapping[str, Scored], peer: Scored) -> dict[str, Any] | None:
    """Our lead over the peer; it holds if within two standard errors of the peer or above, at lower cost."""
    if method is None or method not in own:
        return None
    lead_Q = own[method].lds_Q - peer.lds_Q
    lead_Q = lead_Q[np.isfinite(lead_Q)]
    lead, error = float(lead_Q.mean()), float(lead_Q.std(ddof=1) / np.sqrt(len(lead_Q)))
    lower = own[method].costs.query_in_forwards < peer.costs.query_in_forwards
    found = {"lead": lead, "standard_error": error, "holds": bool(lower and lead >= -max(2 * error, SAME_LEAD))}
    return {"method": method} | _figures(own[method]) | found


def _cells(compared: Mapping[str, Any] | None) -> list[str]:
    if compared is None:
        return ["", "", "", ""]
    lead = f"{compared['lead']:+.2f} ± {compared['standard_error']:.2f}"
    return [compared["method"], f"{compared['lds']:.2f}", f"{compared['query_in_forwards']:,.0f}", lead]
