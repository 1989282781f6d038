"""Mirrors dlref/plot/figures.py: what a picture says; how it looks is for eyes."""

import inspect
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dlref import plot


def test_loss_curves():
    ax = plot.loss_curves({"loss": [1.0, 0.5, 0.25], "valid_loss": [2.0, 1.0]}, log=True)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 1], [2, 0.5], [3, 0.25]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[1, 2], [2, 1]])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["loss", "valid loss"]
    assert (ax.get_xlabel(), ax.get_yscale()) == ("epoch", "log")
    assert plot.loss_curves({"loss": [1.0]}, ax=ax) is ax
    assert plot.loss_curves({"loss": [1.0]}).get_yscale() == "linear"


def test_contour_path():
    path = np.array([[0.0, 1.0], [0.5, 0.5], [0.25, 0.0]])
    ax = plot.contour_path(lambda x, y: x + 2 * y, {"a": path}, xlim=(0.0, 1.0), ylim=(0.0, 3.0), levels=[1.0, 5.0])
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), path)
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), path[-1:])
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 3))
    contours = next(c for c in ax.collections if hasattr(c, "levels"))
    assert list(contours.levels) == [1, 5]
    for vertices in contours.get_paths()[0].to_polygons(closed_only=False):
        np.testing.assert_allclose(vertices[:, 0] + 2 * vertices[:, 1], 1, atol=1e-9)


@pytest.mark.parametrize("shape", [(5, 4, 3), (5, 4, 6, 3)])
def test_image_grid(shape):
    images = np.random.default_rng(0).random(shape)
    figure = plot.image_grid(images, list("abcde"), columns=3)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 6
    assert len(shown) == 5
    for ax, image, title in zip(shown, images, "abcde", strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
        assert ax.get_title() == title
    assert len(plot.image_grid(images).axes) == 5


def test_image_grid_with_one_scale_about_zero():
    figure = plot.image_grid(np.array([[[-3.0]], [[1.0]]]), symmetric=True)
    assert [ax.images[0].get_clim() for ax in figure.axes] == [(-3, 3), (-3, 3)]
    assert plot.image_grid(np.array([[[-3.0, 1.0]]])).axes[0].images[0].get_clim() == (-3, 1)


def test_confusion_matrix_shades_mistakes_alone():
    ax = plot.confusion_matrix(np.array([[30, 2, 0], [0, 20, 5], [1, 0, 10]]), ["a", "b", "c"])
    assert sorted(t.get_text() for t in ax.texts) == ["1", "10", "2", "20", "30", "5"]
    where = {t.get_text(): t.get_position() for t in ax.texts}
    assert where["5"] == (2, 1), "row: true class, column: predicted"
    shade = ax.images[0].get_array()
    assert shade.mask.tolist() == [[True, False, True], [True, True, False], [False, True, True]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    perfect = plot.confusion_matrix(np.eye(2, dtype=int), ["a", "b"], ax=ax)
    assert perfect is ax


def test_decision_boundary():
    X = np.array([[0.0, 0.0], [1.0, 2.0], [0.2, 0.1]])
    ax = plot.decision_boundary(lambda x: x[:, 0], X, np.array([0, 1, 0]), threshold=0.6)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), X[[0, 2]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), X[[1]])
    line = next(c for c in ax.collections if list(getattr(c, "levels", [])) == [0.6])
    np.testing.assert_allclose(np.concatenate(line.get_paths()[0].to_polygons(closed_only=False))[:, 0], 0.6)


def test_layer_histograms_share_one_scale():
    figure = plot.layer_histograms({"1": np.zeros((2, 3)), "2": np.array([-1.0, 2.0])}, bins=3)
    assert [ax.get_title() for ax in figure.axes] == ["1", "2"]
    for ax, heights in zip(figure.axes, ([0, 1, 0], [0.5, 0, 0.5]), strict=True):
        assert [p.get_height() for p in ax.patches] == heights
        assert (ax.patches[0].get_x(), ax.patches[-1].get_x() + 1) == (-1, 2)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.loss_curves({}), "history must have a column with a value, got {} (dict)"),
        (lambda: plot.loss_curves({"loss": []}), "history must have a column with a value, got {'loss': []} (dict)"),
        (
            lambda: plot.contour_path(max, {"a": np.zeros((2, 3))}, xlim=(0, 1), ylim=(0, 1)),
            "paths['a'] must have shape (T, D=2), got float64 array of shape (2, 3)",
        ),
        (
            lambda: plot.image_grid(np.zeros((2, 3))),
            "images must have shape (N, H, W) or (N, H, W, 3), got float64 array",
        ),
        (lambda: plot.image_grid(np.zeros((1, 2, 3, 4))), "images must have shape (N, H, W) or (N, H, W, 3), got"),
        (lambda: plot.image_grid(np.zeros((0, 2, 3))), "images must have shape (N, H, W) or (N, H, W, 3), got"),
        (lambda: plot.image_grid(np.zeros((2, 2, 3)), ["a"]), "titles must be as many as images, 2, got 1"),
        (lambda: plot.image_grid(np.zeros((2, 2, 3)), columns=0), "columns must be an integer >= 1, got 0"),
        (lambda: plot.confusion_matrix(np.eye(3, dtype=int), ["a"]), "matrix must be 1 x 1, got int64 array of shape"),
        (lambda: plot.decision_boundary(max, np.zeros((2, 3)), np.array([0, 1])), "X must have shape (m, n=2), got"),
        (lambda: plot.decision_boundary(max, np.zeros((2, 2)), np.array([0, 2])), "y must hold only 0 and 1, got 2"),
        (lambda: plot.layer_histograms({}), "values must hold a layer with values, got {} (dict)"),
        (lambda: plot.layer_histograms({"1": np.zeros(0)}), "values must hold a layer with values, got {'1': array("),
    ],
)
def test_bad_input_names_the_offender(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


def described(figure):
    """A figure as data: its size, and what each of its axes holds, in numbers of three digits."""

    def number(value):
        return [number(v) for v in value] if np.ndim(value) else float(f"{float(value):.3g}")

    def colours(value):
        return [to_hex(colour, keep_alpha=True) for colour in np.atleast_2d(value)]

    figure.canvas.draw()
    axes = []
    for ax in figure.axes:
        entry = {
            "box": number(ax.get_position().bounds),
            "axis": ax.axison,
            "texts": [ax.get_title(), ax.get_xlabel(), ax.get_ylabel()],
            "title": ax.title.get_fontsize(),
            "limits": number([ax.get_xlim(), ax.get_ylim()]),
            "scale": ax.get_yscale(),
            "ticks": [[t.get_text() for t in axis.get_ticklabels()] for axis in (ax.xaxis, ax.yaxis)],
            "grid": bool(ax.xaxis.get_gridlines()[0].get_visible()) if ax.xaxis.get_gridlines() else None,
            "lines": [
                [l.get_label(), to_hex(l.get_color()), l.get_marker(), l.get_linestyle(),
                 number([l.get_linewidth(), l.get_markersize()]), number(np.transpose(l.get_data()))]
                for l in ax.lines
            ],
            "notes": [
                [t.get_text(), number(t.get_position()), to_hex(t.get_color()), t.get_ha(), t.get_va(),
                 t.get_fontsize()]
                for t in ax.texts
            ],
            "images": [
                [i.get_cmap().name, number(i.get_clim()), number(np.ma.filled(i.get_array().astype(float), -9).mean())]
                for i in ax.images
            ],
            "bars": [number([p.get_x(), p.get_width(), p.get_height()]) for p in ax.patches],
            "contours": [
                [number(c.levels), colours(c.get_edgecolor()), colours(c.get_facecolor()), number(c.get_linewidth()),
                 number([len(path) for path in c.get_paths()]), c.get_cmap().name, c.get_alpha()]
                for c in ax.collections
            ],
            "legend": [t.get_text() for t in ax.get_legend().get_texts()] if ax.get_legend() else None,
        }  # fmt: skip
        axes.append(entry)
    return {"size": number(figure.get_size_inches()), "axes": axes}


RNG = np.random.default_rng(0)


POINTS, CLASSES = RNG.normal(size=(6, 2)), np.array([0, 1, 0, 1, 1, 0])


PICTURES = {
    "loss_curves": lambda: plot.loss_curves({"loss": [1.0, 0.5], "valid_loss": [1.2, 0.8]}),
    "loss_curves log": lambda: plot.loss_curves({"loss": [1.0, 0.5]}, log=True),
    "contour_path": lambda: plot.contour_path(
        lambda x, y: x**2 + 3 * y, {"a": POINTS, "b": -POINTS}, xlim=(-1.0, 2.0), ylim=(-3.0, 1.0)
    ),
    "contour_path levels": lambda: plot.contour_path(
        lambda x, y: x + y, {}, xlim=(-1.0, 1.0), ylim=(-1.0, 1.0), levels=[0.0, 0.5]
    ),
    "image_grid": lambda: plot.image_grid(RNG.random((11, 3, 4))),
    "image_grid titles": lambda: plot.image_grid(
        np.linspace(-1, 2, 36).reshape(3, 3, 4), ["x", "y", "z"], columns=2, size=1.5, cmap="RdBu", symmetric=True
    ),
    "confusion_matrix": lambda: plot.confusion_matrix(np.array([[3, 1, 0], [0, 4, 2], [0, 0, 0]]), ["p", "q", "r"]),
    "confusion_matrix without mistakes": lambda: plot.confusion_matrix(np.array([[3, 0], [0, 4]]), ["p", "q"]),
    "decision_boundary": lambda: plot.decision_boundary(lambda x: x[:, 0] + x[:, 1] ** 2, POINTS, CLASSES),
    "decision_boundary threshold": lambda: plot.decision_boundary(
        lambda x: x[:, 0] + x[:, 1], POINTS, CLASSES, threshold=-0.25
    ),
    "layer_histograms": lambda: plot.layer_histograms({"first": np.arange(10.0), "second": np.array([[0.5, 4.0]])}),
    "layer_histograms bins": lambda: plot.layer_histograms({"only": np.arange(10.0)}, bins=3),
}


BASELINE = Path(__file__).with_name("pictures.json")


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_as_it_was(name):
    """What was looked at once stays so. After a change look again, then run this with DLREF_PICTURES=new."""
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state
    drawn = PICTURES[name]()
    figure = drawn if isinstance(drawn, Figure) else drawn.figure
    now = json.loads(json.dumps(described(figure)))
    known = json.loads(BASELINE.read_text(encoding="utf8")) if BASELINE.exists() else {}
    if os.environ.get("DLREF_PICTURES") == "new":
        BASELINE.write_text(json.dumps({**known, name: now}, indent=None, separators=(",", ":")), encoding="utf8")
        return
    assert now == known[name]


def colours_of(lines):
    return [to_hex(line.get_color()) for line in lines]


def used_axes():
    """Axes in which something has been drawn, without a grid."""
    ax = plt.subplots()[1]
    ax.plot([0], [0])
    ax.grid(visible=False)
    return ax


def has_grid(ax):
    return ax.xaxis.get_gridlines()[0].get_visible()


def test_paths_keep_their_colours_in_axes_that_are_given():
    ax = used_axes()
    paths = {"a": POINTS, "b": -POINTS}
    assert plot.contour_path(lambda x, y: x + y, paths, xlim=(-1.0, 1.0), ylim=(-1.0, 1.0), ax=ax) is ax
    first, second = list(plot.COLOURS)[:2]
    assert colours_of(ax.lines[1:]) == [first, first, second, second]
    assert not has_grid(ax)
    assert inspect.signature(plot.contour_path).parameters["levels"].default == 20


def test_matrix_in_axes_that_are_given():
    ax = used_axes()
    assert plot.confusion_matrix(np.array([[1, 2], [0, 3]]), ["p", "q"], ax=ax) is ax
    assert not has_grid(ax)


def test_boundary_in_axes_that_are_given(monkeypatch):
    ax, fields = used_axes(), []
    contourf = ax.contourf
    monkeypatch.setattr(ax, "contourf", lambda *args, **kwargs: fields.append(args) or contourf(*args, **kwargs))
    X = np.array([[2.0, 0.0], [2.0, 1.0]])  # one column without any spread

    def steps(x):
        return np.where(x[:, 1] < 0.2, 0.0, np.where(x[:, 1] < 0.8, 0.5, 1.0))

    assert plot.decision_boundary(steps, X, np.array([0, 1]), ax=ax) is ax
    assert colours_of(ax.lines[1:]) == list(plot.COLOURS)[:2]
    ((u, v, positive),) = fields
    assert u[0, 0] < 2 < u[0, -1]
    assert v[0, 0] < 0 < 1 < v[-1, 0]
    assert (positive == (v >= 0.8)).all(), "at the threshold itself it is not class 1 yet"


def test_histograms_share_their_axis():
    first, second = plot.layer_histograms({"a": np.arange(10.0), "b": np.arange(5.0)}).axes
    first.set_xlim(2, 3)
    assert second.get_xlim() == (2, 3)
