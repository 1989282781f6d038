"""Mirrors dlref/plot/sliders.py."""

import base64
import html
import io
import json
import re
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from dlref import plot


def background(figure):
    figure.subplots().set(xlim=(0, 10), ylim=(0, 10))


def dot(figure, x, y=5):
    figure.axes[0].plot(x, y, "o", color="C1", markersize=20)


def made(parameters=None, **changed):
    settings = {"background": background, "alt": 'a "dot"', "caption": "1 < 2", "figsize": (3.0, 2.0)} | changed
    return plot.sliders(dot, parameters or {"x": [2, 5, 8]}, **settings)


def frames_in(page):
    return json.loads(re.search(r"const frames = (\{.*?\});", page)[1])


def place_of_the_dot(frame):
    picture = np.asarray(Image.open(io.BytesIO(frame)).convert("RGBA")).astype(int)
    reddish = (picture[..., 0] - picture[..., 2] > 100) & (picture[..., 3] > 200)
    rows, columns = np.argwhere(reddish).mean(0)
    return columns, -rows


def test_a_frame_for_every_value_light_and_dark():
    figure = made()
    assert isinstance(figure, plot.Sliders)
    for theme in ("light", "dark"):
        across = [place_of_the_dot(frame)[0] for frame in figure.frames[theme]]
        assert len(across) == 3
        assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=2)
        assert across[1] - across[0] > 30
    assert figure.frames["light"] != figure.frames["dark"]
    assert to_hex(mpl.rcParams["text.color"]) == "#1f2328", "the style is as it was"


def test_two_parameters_the_last_changes_fastest():
    figure = made({"x": [2, 8], "y": [1, 5, 9]})
    places = np.array([place_of_the_dot(frame) for frame in figure.frames["light"]]).reshape(2, 3, 2)
    assert (np.diff(places[:, :, 1], axis=1) > 20).all()
    assert (np.diff(places[:, :, 0], axis=0) > 50).all()
    assert np.ptp(places[0, :, 0]) < 2


class Inputs(HTMLParser):
    """The attributes of each slider."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "input":
            self.found.append(dict(attrs))


def test_sliders_say_their_value_and_begin_where_they_are_told():
    def draw(figure, rate, depth):
        dot(figure, 10 * rate, len(depth))

    parameters = {"rate": [0.1, 1 / 3], "depth": ["one", "two", "three"]}
    settings = {"background": background, "alt": 'a "dot"', "caption": "1 < 2", "figsize": (3.0, 2.0)}
    figure = plot.sliders(draw, parameters, start=[1, 2], **settings)
    page = figure._repr_mimebundle_()["text/html"]
    first, second = Inputs(page).found
    assert (first["type"], first["min"], first["max"], first["value"]) == ("range", "0", "1", "1")
    assert first["aria-valuetext"] == "0.3333"
    assert (second["max"], second["value"], second["aria-valuetext"]) == ("2", "2", "three")
    assert re.findall(r"<label>(\w+)", page) == ["rate", "depth"]
    shown = re.search(r'<img src="(.*?)" alt="(.*?)" width="(\d+)" height="(\d+)" loading="lazy">', page)
    assert shown[1] == frames_in(page)["light"][5], "of two by three frames the last"
    assert html.unescape(shown[2]) == 'a "dot"'
    assert shown.groups()[2:] == ("300", "200")
    assert "<figcaption>1 &lt; 2</figcaption>" in page


def test_page_is_always_the_same_and_asks_nobody():
    page = made()._repr_mimebundle_()["text/html"]
    assert page == made()._repr_mimebundle_()["text/html"]
    assert not re.search(r"https?://", page)
    names = {
        re.search(r'id="(sliders-[0-9a-f]{12})"', made(caption=c)._repr_mimebundle_()["text/html"])[1] for c in "ab"
    }
    assert len(names) == 2
    assert "setInterval" not in page, "nothing plays by itself"
    assert "requestAnimationFrame" not in page


def test_print_has_up_to_four_states_in_a_row():
    drawn = []

    def note(figure, x):
        drawn.append(x)

    settings = {"background": background, "alt": "a", "caption": "c", "figsize": (3.0, 2.0)}
    figure = plot.sliders(note, {"x": list(range(10))}, **settings)
    assert drawn[-4:] == [0, 3, 6, 9]
    strip = base64.b64decode(figure._repr_mimebundle_()["application/pdf"])
    width, height = map(float, re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", strip).groups())
    assert (width, height) == (4 * 3 * 72, 2 * 72)
    assert b"CreationDate" not in strip
    drawn.clear()
    plot.sliders(note, {"x": [1, 2]}, **settings)
    assert drawn[-2:] == [1, 2]


def noise(figure, x):
    figure.axes[0].imshow(np.random.default_rng(x).random((300, 300, 3)), extent=(0, 10, 0, 10), aspect="auto")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("draw", "parameters", "changed", "message"),
    [
        (dot, {}, {}, "parameters must be one or two, with two values or more, got {}"),
        (dot, {"x": [1]}, {}, "parameters must be one or two, with two values or more, got {'x': 1}"),
        (dot, {"x": [1, 2]}, {"alt": " "}, "alt must say something, got ' '"),
        (dot, {"x": [1, 2]}, {"caption": ""}, "caption must say something, got ''"),
        (dot, {"x": [1, 2]}, {"start": [2]}, "start must be"),
        (dot, {"x": [1, 2]}, {"start": [0, 0]}, "start must have 1 numbers, got [0, 0]"),
        (
            noise,
            {"x": list(range(20))},
            {"figsize": (6.0, 4.0)},
            "parameters must give frames of at most 300,000 bytes",
        ),
    ],
)
def test_bad_input_names_the_offender(draw, parameters, changed, message):
    settings = {"background": background, "alt": "a", "caption": "c"} | changed
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        plot.sliders(draw, parameters, **settings)
