"""Mirrors dlref/plot/style.py."""

import asyncio
import io
import sys

import matplotlib as mpl
import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from nbclient import NotebookClient

from dlref import plot


def contrast(colour, paper):
    """WCAG 2.1 contrast ratio of two colours."""

    def luminance(c):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(c)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(colour), luminance(paper)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_can_be_told_from_the_paper():
    *lines, ink, _ = plot.COLOURS.items()
    for light, dark in lines:
        assert contrast(light, "#ffffff") >= 3
        assert contrast(dark, "#121212") >= 3
    assert contrast(ink[0], "#ffffff") >= 7
    assert contrast(ink[1], "#121212") >= 7


def simulate(colour, kind):
    """What a dichromat sees (Viénot, Brettel & Mollon 1999), in linear RGB."""
    linear = np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)])
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    project = {
        "protan": [[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]],
        "deutan": [[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]],
    }[kind]
    return np.linalg.inv(to_lms) @ np.array(project) @ to_lms @ linear


@pytest.mark.parametrize("kind", ["protan", "deutan"])
@pytest.mark.parametrize("theme", [0, 1])
def test_first_four_colours_differ_for_the_colour_blind(kind, theme):
    seen = [simulate(pair[theme], kind) for pair in list(plot.COLOURS.items())[:4]]
    for i in range(4):
        for j in range(i):
            assert np.linalg.norm(seen[i] - seen[j]) > 0.08, (i, j)


@pytest.mark.parametrize("dark", [False, True])
def test_style_uses_the_pairs_and_leaves_the_paper_clear(dark):
    plot.style(dark=dark)
    colours = list(plot.COLOURS.values() if dark else plot.COLOURS)
    assert [c["color"] for c in mpl.rcParams["axes.prop_cycle"]] == colours[:6]
    for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"):
        assert mpl.rcParams[name] == colours[6]
    assert mpl.rcParams["grid.color"] == colours[7]
    for name in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
        assert mpl.rcParams[name] == "none"


def test_the_same_figure_is_the_same_file(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    written = []
    for _ in range(2):
        ax = plot.loss_curves({"loss": [1.0, 0.5]})
        file = io.StringIO()
        ax.figure.savefig(file, format="svg")
        written.append(file.getvalue())
    assert written[0] == written[1]
    assert "#0072b2" in written[0].lower()


STYLE = {
    "figure.figsize": [6.4, 3.6],
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.0,
    "axes.labelsize": 10.0,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
    "image.cmap": "gray",
    "grid.linewidth": 0.7,
    "svg.hashsalt": "dlref",
    "pdf.fonttype": 42,
}


@pytest.mark.parametrize("dark", [False, True])
def test_style_setting_by_setting(dark):
    """A change of the style changes every figure of the book, and so is made in two places."""
    mpl.rcdefaults()
    plot.style(dark=dark)
    assert {name: mpl.rcParams[name] for name in STYLE} == STYLE
    *cycle, ink, grid = plot.COLOURS.values() if dark else plot.COLOURS
    assert mpl.rcParams["axes.prop_cycle"].by_key() == {"color": cycle}
    assert mpl.rcParams["grid.color"] == grid
    for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"):
        assert mpl.rcParams[name] == ink


def test_in_a_notebook_figures_are_vectors_of_the_size_that_was_asked_for(monkeypatch):
    from IPython.core import getipython
    from matplotlib_inline import backend_inline

    asked = []
    monkeypatch.setattr(backend_inline, "set_matplotlib_formats", lambda *args, **kwargs: asked.append((args, kwargs)))
    plot.style()
    assert asked == []
    monkeypatch.setattr(getipython, "get_ipython", object)
    plot.style()
    assert asked == [(("svg", "pdf"), {"bbox_inches": None})]


COUNTED = """
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from dlref import plot
draw, drawn = FigureCanvasAgg.draw, []
FigureCanvasAgg.draw = lambda canvas: drawn.append(draw(canvas))
{style}
"""


@pytest.mark.own_process
@pytest.mark.parametrize(("style", "times"), [("pass", 2), ("plot.style()", 0)])
def test_in_a_notebook_a_figure_is_drawn_as_it_is_shown_and_not_once_more_before(monkeypatch, tmp_path, style, times):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    codes = (COUNTED.format(style=style), "plt.plot([1, 2]);", "print(len(drawn))")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    quiet = {"extra_arguments": ["--IPKernelApp.log_level=40"], "resources": {"metadata": {"path": tmp_path}}}
    asyncio.run(NotebookClient(notebook, timeout=100, **quiet).async_execute())
    kind = "image/svg+xml" if times == 0 else "image/png"
    assert kind in notebook.cells[1].outputs[0].data
    assert notebook.cells[2].outputs[0].text == f"{times}\n"


def test_outside_a_notebook_there_need_be_no_ipython(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", None)
    mpl.rcdefaults()
    plot.style()
    assert mpl.rcParams["figure.figsize"] == STYLE["figure.figsize"]
