"""Picture of a valuation: each publisher's share with its interval, next to its share of the training tokens."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from tribute.ids import short

LABEL, PLOT, RIGHT, ROW, TOP = 230, 400, 80, 34, 60
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2933}.axis{font-size:11px;fill:#52606d}.grid{stroke:#e4e7eb}"
    ".share{fill:#3b6ea5}.tokens{fill:#b8c4d0}.interval{stroke:#102a43;stroke-width:1.5;fill:none}"
)


def shares_picture(title: str, publishers: Sequence[Mapping[str, Any]], shares: Mapping[str, float]) -> str:
    """SVG of all publishers, the largest share first; the same bytes for the same figures.

    Intervals are of shares by value, whatever the policy. A month that an earlier release valued has none.

    Args:
        publishers: publisher_id, share_low, share_high and token_share of each.
        shares: publisher_id to share, 0 to 1.
    """
    rows = sorted(publishers, key=lambda row: (-shares[row["publisher_id"]], row["publisher_id"]))
    most = max(max(row["share_high"] or 0, row["token_share"], shares[row["publisher_id"]]) for row in rows)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if step * 6 >= most or step == 0.25)
    ticks = [step * number for number in range(int(most / step) + 2)]
    scale, height = PLOT / ticks[-1], TOP + ROW * len(rows) + 30
    parts = [f'<rect width="{LABEL + PLOT + RIGHT}" height="{height}" fill="#fff"/>', *_legend(title)]
    parts += [part for tick in ticks for part in _tick(tick, LABEL + tick * scale, height - 30)]
    for number, row in enumerate(rows):
        name, ends = row["publisher_id"], (row["share_low"], row["share_high"])
        parts += _bars(name, TOP + ROW * number, shares[name], row["token_share"], scale)
        if None not in ends:
            parts += _interval(TOP + ROW * number, *(LABEL + end * scale for end in ends))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LABEL + PLOT + RIGHT} {height}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def _legend(title: str) -> Iterator[str]:
    yield f'<text x="12" y="22">{escape(title)}</text>'
    yield f'<rect class="share" x="{LABEL}" y="34" width="14" height="10"/>'
    yield f'<text class="axis" x="{LABEL + 20}" y="43">share of the pool, with its 95 % interval</text>'
    yield f'<rect class="tokens" x="{LABEL + 250}" y="36" width="14" height="6"/>'
    yield f'<text class="axis" x="{LABEL + 270}" y="43">share of the training tokens</text>'


def _tick(value: float, left: float, bottom: int) -> Iterator[str]:
    yield f'<path class="grid" d="M{left:.1f} {TOP - 6}V{bottom}"/>'
    yield f'<text class="axis" x="{left:.1f}" y="{bottom + 16}" text-anchor="middle">{value:.0%}</text>'


def _bars(name: str, top: int, share: float, tokens: float, scale: float) -> Iterator[str]:
    yield f'<text x="{LABEL - 10}" y="{top + 15}" text-anchor="end">{escape(short(name, 30))}</text>'
    yield f'<rect class="share" x="{LABEL}" y="{top + 2}" width="{share * scale:.1f}" height="12"/>'
    yield f'<rect class="tokens" x="{LABEL}" y="{top + 16}" width="{tokens * scale:.1f}" height="6"/>'
    yield f'<text x="{LABEL + PLOT + RIGHT - 10}" y="{top + 15}" text-anchor="end">{share:.1%}</text>'


def _interval(top: int, low: float, high: float) -> Iterator[str]:
    caps = f"M{low:.1f} {top + 4}v8M{high:.1f} {top + 4}v8"
    yield f'<path class="interval" d="M{low:.1f} {top + 8}H{high:.1f}{caps}"/>'
