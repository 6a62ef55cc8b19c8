"""The kind of figure that all pictures of the package are, with its colours.

Nothing here touches pyplot: no window opens, no figure is kept, no global setting changes.
"""

from __future__ import annotations

import io
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, RED, GREEN, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#8C8C8C"
"""Colours of lines, from the palette of M. Okabe and K. Ito (2008), which all eyes can tell apart."""

COLORS, MARKERS = (BLUE, RED, GREEN, PURPLE, BLACK, GREY), "osD^vPX*"
"""Of one curve after the other."""


class Picture(Figure):
    """A matplotlib figure that notebooks show although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=110, bbox_inches="tight")
        return content.getvalue()


def canvas(
    ax: Axes | None, width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained"
) -> tuple[Figure, Axes]:
    """The given axes with its figure, or a new figure of a size in inches with one axes."""
    if ax is not None:
        return ax.figure.figure, ax  # of a subfigure the figure it belongs to
    figure = Picture(figsize=(width, height), layout=layout)
    return figure, figure.add_subplot()


def tidy(ax: Axes) -> None:
    """Two open sides and a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
