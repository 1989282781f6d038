"""Mirrors dlref/plot/animation.py."""

import base64
import io
import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from dlref import plot


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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("frames", "changed", "message"),
    [
        ([], {}, "frames must not be empty"),
        ([1], {"alt": " "}, "alt must say something, got ' '"),
        ([1], {"caption": ""}, "caption must say something, got ''"),
        ([1], {"fps": 0}, "fps must be a number in (0, inf), got 0.0"),
    ],
)
def test_bad_input_names_the_offender(frames, changed, message):
    settings = {"background": background, "alt": "a", "caption": "c"} | changed
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        plot.animate(dot, frames, **settings)
