"""Mirrors dlref/plot.py and its parts (_style, _animation): what a picture says; how it looks is for eyes."""

import base64
import inspect
import io
import json
import os
import re
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from dlref import plot


@pytest.fixture(autouse=True)
def _clean():
    with mpl.rc_context():
        plot.style()
        yield
    plt.close("all")


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


def background(figure):
    figure.subplots().set(xlim=(0, 10), ylim=(0, 1))


def dot(figure, x):
    figure.axes[0].plot(x, 0.5, "o", color="C1", markersize=20)


def pictures(animation, theme):
    return [np.asarray(Image.open(io.BytesIO(frame)).convert("RGBA")).astype(int) for frame in animation.frames[theme]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_animation_moves_what_moves_and_keeps_what_stays(theme):
    animation = plot.animate(dot, [2, 5, 8], background=background, alt="a dot", caption="It moves.")
    assert isinstance(animation, plot.Animation)
    colour = np.array(to_rgb("#d55e00" if theme == "light" else "#ff9a4d")) * 255
    centres = []
    for picture in pictures(animation, theme):
        is_dot = (np.abs(picture[..., :3] - colour).max(-1) < 30) & (picture[..., 3] > 200)
        centres.append(np.argwhere(is_dot).mean(0))
    rows, columns = np.array(centres).T
    assert np.ptp(rows) < 2
    assert columns[1] - columns[0] == pytest.approx(columns[2] - columns[1], abs=2)
    assert columns[1] - columns[0] > 100
    corner = [picture[:, :60] for picture in pictures(animation, theme)]
    np.testing.assert_allclose(corner[0], corner[2], atol=40)
    assert to_hex(mpl.rcParams["text.color"]) == "#1f2328", "the style is as it was"


def test_animation_on_a_page_and_in_print():
    animation = plot.animate(dot, range(6), background=background, alt='a "dot"', caption="1 < 2", fps=4.0)
    bundle = animation._repr_mimebundle_()
    page = bundle["text/html"]
    assert 'alt="a &quot;dot&quot;"' in page
    assert "<figcaption>1 &lt; 2</figcaption>" in page
    assert "}, 250);" in page
    assert "prefers-reduced-motion: reduce" in page
    frames = json.loads(re.search(r"const frames = (\{.*\});", page)[1])
    assert {theme: len(urls) for theme, urls in frames.items()} == {"light": 6, "dark": 6}
    first = base64.b64decode(frames["light"][0].split(",")[1])
    assert first == animation.frames["light"][0]
    assert 'max="5"' in page
    assert not re.search(r"https?://", page)
    assert base64.b64decode(bundle["application/pdf"]).startswith(b"%PDF")
    again = plot.animate(dot, range(6), background=background, alt='a "dot"', caption="1 < 2", fps=4.0)
    assert again._repr_mimebundle_()["text/html"] == page, "two builds, one page"


def test_animation_strip_has_the_first_the_last_and_two_between(monkeypatch):
    drawn = []
    real = Figure.subfigures
    monkeypatch.setattr(Figure, "subfigures", lambda self, *a, **k: drawn.clear() or real(self, *a, **k))

    def draw(figure, frame):
        drawn.append(frame)

    plot.animate(draw, range(10), background=background, alt="a", caption="c")
    assert drawn == [0, 3, 6, 9]
    plot.animate(draw, [1, 2], background=background, alt="a", caption="c")
    assert drawn == [1, 2]


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
        (lambda: plot.animate(dot, [], background=background, alt="a", caption="c"), "frames must not be empty"),
        (
            lambda: plot.animate(dot, [1], background=background, alt=" ", caption="c"),
            "alt must say something, got ' '",
        ),
        (
            lambda: plot.animate(dot, [1], background=background, alt="a", caption=""),
            "caption must say something, got ''",
        ),
        (
            lambda: plot.animate(dot, [1], background=background, alt="a", caption="c", fps=0),
            "fps must be a number in (0, inf), got 0.0",
        ),
    ],
)
def test_bad_input_names_the_offender(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


# ------------------------------------------------------------------------------------------------ pictures, in words

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


def test_outside_a_notebook_there_need_be_no_ipython(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", None)
    mpl.rcdefaults()
    plot.style()
    assert mpl.rcParams["figure.figsize"] == STYLE["figure.figsize"]


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


# ------------------------------------------------------------------------------------------------ animations, closely


def shades(figure):
    figure.subplots().imshow(np.random.default_rng(0).random((40, 40, 3)))


def mark(figure, x):
    figure.axes[0].plot(x, 5, "o")


def animated(**kwargs):
    settings = {"background": shades, "alt": 'a "dot"', "caption": "It moves & stops.", "figsize": (3.0, 2.0)} | kwargs
    return plot.animate(mark, [1, 2, 3, 4, 5, 6], **settings)


def test_page_of_an_animation():
    animation = animated()
    page = animation._repr_mimebundle_()["text/html"]
    name = re.search(r'<figure class="dl-animation" id="(anim-[0-9a-f]{12})">', page)[1]
    assert f'getElementById("{name}")' in page
    frames = json.loads(re.search(r"const frames = (\{.*?\});", page)[1])
    assert set(frames) == {"light", "dark"}
    assert all(frame.startswith("data:image/png;base64,") for theme in frames.values() for frame in theme)
    image = re.search(r'<img src="(.*?)" alt="(.*?)" width="(\d+)" height="(\d+)" loading="lazy">', page)
    assert image.groups() == (frames["light"][0], "a &quot;dot&quot;", "300", "200")
    assert 'min="0" max="5" value="0"' in page
    assert "}, 125);" in page, "eight frames a second by default"
    assert "}, 333);" in animated(fps=3.0)._repr_mimebundle_()["text/html"]
    assert "<figcaption>It moves &amp; stops.</figcaption>" in page


def test_name_of_an_animation_follows_its_content():
    def name(**kwargs):
        return re.search(r'id="(anim-\w+)"', animated(**kwargs)._repr_mimebundle_()["text/html"])[1]

    assert name() == name()
    assert name() != name(caption="Another.")
    first, second = animated(), animated()
    second.frames = {theme: [*frames[:-1], frames[0]] for theme, frames in first.frames.items()}
    pages = [animation._repr_mimebundle_()["text/html"] for animation in (first, second)]
    assert len({re.search(r'id="(anim-\w+)"', page)[1] for page in pages}) == 2, "only the last frame differs"


def test_frames_are_small_pictures_of_the_size_asked_for():
    for frames in animated().frames.values():
        assert len(set(frames)) == 6
        for frame in frames:
            picture = Image.open(io.BytesIO(frame))
            assert (picture.format, picture.size) == ("PNG", (300, 200))
            assert 40 < len(picture.convert("RGBA").getcolors(1 << 20)) <= 64


def test_what_moves_does_not_move_the_axes():
    def axes(figure):
        figure.subplots().plot([0, 1], [0, 1])

    def far(figure, x):
        figure.axes[0].plot([0, 1000 * x], [0.5, 0.5], "-")

    def still(figure, _):
        figure.axes[0].plot([0, 100], [0.5, 0.5], "-")

    settings = {"background": axes, "alt": "a line", "caption": "It grows.", "figsize": (3.0, 2.0)}
    assert plot.animate(far, [1, 2], **settings).frames == plot.animate(still, [1, 2], **settings).frames


def test_size_of_frames_does_not_depend_on_the_reader_s_settings():
    mpl.rcParams["figure.dpi"] = 50
    assert Image.open(io.BytesIO(animated().frames["light"][0])).size == (300, 200)


def test_strip_is_four_frames_in_a_row_and_always_the_same():
    strip = animated().strip
    width, height = map(float, re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", strip).groups())
    assert (width, height) == (4 * 3 * 72, 2 * 72)
    assert b"CreationDate" not in strip
    drawn = []

    def note(figure, x):
        drawn.append((x, figure.bbox.width / figure.bbox.height))

    settings = {"background": shades, "alt": "a line", "caption": "It grows.", "figsize": (3.0, 2.0)}
    plot.animate(note, [1, 2, 3, 4, 5, 6, 7], **settings)
    assert drawn[-4:] == [(x, pytest.approx(1.5)) for x in (1, 3, 5, 7)]
    drawn.clear()
    plot.animate(note, [1, 2], **settings)
    assert [x for x, _ in drawn] == [1, 2] * 3


# ------------------------------------------------------------------------------------------------ axes that are given


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
