"""The house style: colours in pairs, and matplotlib's settings."""

from contextlib import suppress

try:
    import matplotlib as mpl
    from cycler import cycler
except ModuleNotFoundError as error:  # pragma: no cover
    raise ImportError(
        "dlref.plot needs matplotlib: pip install 'dlref[book]'"
    ) from error

__all__ = ["COLOURS", "style"]

COLOURS = {
    "#0072b2": "#56b4e9",  # C0 blue
    "#d55e00": "#ff9a4d",  # C1 vermilion
    "#007f5c": "#3ccfa0",  # C2 green
    "#a8467f": "#e79bc8",  # C3 purple
    "#8a6a00": "#e8c547",  # C4 ochre
    "#6a737d": "#a8b1ba",  # C5 grey
    "#1f2328": "#e6edf3",  # ink: text and axes
    "#d8dee4": "#3a424b",  # grid
}
"""Each colour on a light page, and what takes its place on a dark one."""


def style(*, dark: bool = False) -> None:
    """Set matplotlib to the house style, and a notebook to vector output.

    SVG for the page, PDF for print.

    Args:
        dark: colours for a dark page; the book makes the dark twin of a figure itself
            and never asks.

    Source:
        Okabe & Ito (2008), "Color universal design".

    Example:
        >>> style()
        >>> mpl.rcParams["axes.spines.top"]
        False
    """
    *cycle, ink, grid = COLOURS.values() if dark else COLOURS
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.facecolor": "none",
            "axes.prop_cycle": cycler(color=cycle),
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.8,
            "image.cmap": "gray",
            "grid.color": grid,
            "grid.linewidth": 0.7,
            **dict.fromkeys(
                (
                    "text.color",
                    "axes.labelcolor",
                    "axes.edgecolor",
                    "xtick.color",
                    "ytick.color",
                ),
                ink,
            ),
            "svg.hashsalt": "dlref",  # the same figure is the same file
            "pdf.fonttype": 42,
        }
    )
    with suppress(ModuleNotFoundError):  # outside a notebook there need be no IPython
        from IPython.core.getipython import get_ipython
        from matplotlib import pyplot
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        if get_ipython() is not None:
            set_matplotlib_formats(
                "svg", "pdf", bbox_inches=None
            )  # the layout already fits the figure
            if mpl.get_backend().endswith("inline"):
                # this backend draws what it shows; pyplot would draw it once before
                pyplot.switch_backend(mpl.get_backend())
                pyplot.uninstall_repl_displayhook()
