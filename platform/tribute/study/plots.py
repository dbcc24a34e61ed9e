"""Charts of results, for notebooks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY = "#2f6690", "#9aa5b1"


def heat_map(values_QS: NDArray[np.float64], source_ids: Sequence[str], title: str) -> "Axes":
    """Influence by colour, [Q, S]: blue helped, red hurt."""
    axes = _axes(title)
    largest = float(np.nanmax(np.abs(values_QS))) or 1.0
    image = axes.imshow(values_QS, aspect="auto", cmap="RdBu", vmin=-largest, vmax=largest)
    axes.set_xticks(range(len(source_ids)), source_ids, rotation=45, ha="right", parse_math=False)
    axes.set_ylabel("query")
    axes.figure.colorbar(image, ax=axes)
    return axes


def bars(
    names: Sequence[str],
    values: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    compared: Sequence[float],
    labels: tuple[str, str, str],
    title: str,
) -> "Axes":
    """A bar per name with its interval, and a mark where another estimate lies.

    Args:
        labels: of the axis, the bars and the marks.
    """
    axes = _axes(title)
    place = np.arange(len(names))
    spread = np.abs(np.array([np.subtract(values, low), np.subtract(high, values)]))
    axes.barh(place, values, xerr=spread, color=BLUE, ecolor=GREY, label=labels[1])
    axes.plot(compared, place, "k|", markersize=12, label=labels[2])
    axes.set_yticks(place, names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel(labels[0])
    axes.legend()
    return axes


def _axes(title: str) -> "Axes":
    import matplotlib.pyplot as plt

    _, axes = plt.subplots()
    axes.set_title(title, fontsize="small", wrap=True, parse_math=False)
    return axes
