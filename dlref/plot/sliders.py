"""Figures with one or two sliders, over frames that are drawn beforehand."""

import base64
import html
import io
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from string import Template
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dlref import _check
from dlref.plot.animation import addresses, drawn

__all__ = ["Sliders", "sliders"]

LIMIT = 300_000  # bytes of all frames of a theme


class Sliders:
    """A figure with sliders on a page, up to four of its states in print.

    See :func:`sliders`.

    Args:
        frames: for each theme, ``"light"`` and ``"dark"``, the pictures as PNG, the
            last parameter changing fastest.
        values: for each parameter what its slider says at each place.
        start: place of each slider at first.
        strip: the states in print, as PDF.
        alt: what the figure shows, for those who do not see it.
        caption: what to look for.

    Source:
        This book.

    Example:
        >>> def axes(figure):
        ...     figure.subplots().set(xlim=(0, 2))
        >>> def dot(figure, x):
        ...     figure.axes[0].plot(x, 0, "o")
        >>> figure = sliders(
        ...     dot, {"x": [0, 1]}, background=axes, alt="a dot", caption="Move it."
        ... )
        >>> sorted(figure._repr_mimebundle_())
        ['application/pdf', 'text/html']
    """

    def __init__(
        self,
        frames: dict[str, list[bytes]],
        values: Mapping[str, Sequence[str]],
        start: Sequence[int],
        strip: bytes,
        *,
        alt: str,
        caption: str,
    ) -> None:
        self.frames = frames
        self.values = {name: list(texts) for name, texts in values.items()}
        self.start = list(start)
        self.strip = strip
        self.alt = alt
        self.caption = caption

    def _repr_mimebundle_(
        self,
        include: Any = None,  # noqa: ARG002  IPython's interface
        exclude: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        sources = addresses(self.frames)
        # the name comes from the content: a book that is built twice is the same twice
        content = self.caption + sources["light"][-1]
        name = "sliders-" + uuid.uuid5(uuid.NAMESPACE_OID, content).hex[:12]
        rows = [
            _ROW.substitute(
                name=html.escape(label),
                last=len(texts) - 1,
                at=at,
                text=html.escape(texts[at], quote=True),
            )
            for (label, texts), at in zip(self.values.items(), self.start, strict=True)
        ]
        sizes = [len(texts) for texts in self.values.values()]
        first = int(np.ravel_multi_index(self.start, sizes))
        width, height = Image.open(io.BytesIO(self.frames["light"][0])).size
        page = _PAGE.substitute(
            name=name,
            alt=html.escape(self.alt, quote=True),
            caption=html.escape(self.caption),
            first=sources["light"][first],
            width=width,
            height=height,
            rows="\n".join(rows),
            values=json.dumps(list(self.values.values())),
            frames=json.dumps(sources),
        )
        return {
            "text/html": page,
            "application/pdf": base64.b64encode(self.strip).decode(),
        }


def sliders(
    draw: Callable[..., object],
    parameters: Mapping[str, Sequence[Any]],
    *,
    background: Callable[[Figure], object],
    alt: str,
    caption: str,
    start: Sequence[int] | None = None,
    figsize: tuple[float, float] = (6.4, 3.6),
) -> Sliders:
    """Draw a figure for every value of one parameter, or every pair of two.

    On a page a reader moves through them with the pointer or the arrow keys; nothing
    moves by itself.

    Args:
        draw: called with the figure and a value of each parameter; adds lines, text or
            images to its axes, which are taken off again before the next frame.
        parameters: one or two names, as they stand beside the sliders, each with the
            values that it can have.
        background: called with the empty figure; makes the axes and draws what stays.
        alt: what the figure shows, for those who do not see it.
        caption: what to look for.
        start: which value of each parameter is shown first; by default the first one.
        figsize: width and height in inches.

    Raises:
        ValueError: if there are not one or two parameters, one has fewer than two
            values, ``start`` names no value, ``alt`` or ``caption`` is empty, or the
            frames of a theme take more than 300 kB.

    Source:
        This book.

    Example:
        >>> def axes(figure):
        ...     figure.subplots().set(xlim=(-1, 1), ylim=(-1, 1))
        >>> def line(figure, slope):
        ...     figure.axes[0].plot([-1, 1], [-slope, slope])
        >>> figure = sliders(
        ...     line,
        ...     {"slope": [0.0, 0.5, 1.0]},
        ...     background=axes,
        ...     alt="a line",
        ...     caption="Its slope.",
        ... )
        >>> len(figure.frames["dark"]), figure.values
        (3, {'slope': ['0', '0.5', '1']})
    """
    _check_parameters(parameters)
    for name, text in (("alt", alt), ("caption", caption)):
        if not text.strip():
            raise ValueError(f"{name} must say something, got {_check.describe(text)}")
    begin = [0] * len(parameters) if start is None else list(start)
    if len(begin) != len(parameters):
        raise ValueError(f"start must have {len(parameters)} numbers, got {begin}")
    for at, values in zip(begin, parameters.values(), strict=True):
        _check.integer("start", at, 0, len(values) - 1)
    states = list(product(*parameters.values()))

    def one(figure: Any, state: tuple[Any, ...]) -> None:
        draw(figure, *state)

    pictures, strip = drawn(one, states, background, figsize)
    size = max(sum(map(len, frames)) for frames in pictures.values())
    if size > LIMIT:
        raise ValueError(
            f"parameters must give frames of at most {LIMIT:,} bytes in all, got "
            f"{size:,} for {len(states)} frames: fewer values, or a smaller figsize"
        )
    texts = {name: [_text(v) for v in values] for name, values in parameters.items()}
    return Sliders(pictures, texts, begin, strip, alt=alt, caption=caption)


def _check_parameters(parameters: Mapping[str, Sequence[Any]]) -> None:
    if len(parameters) not in (1, 2) or any(len(v) < 2 for v in parameters.values()):
        sizes = {name: len(values) for name, values in parameters.items()}
        raise ValueError(
            f"parameters must be one or two, with two values or more, got {sizes}"
        )


def _text(value: Any) -> str:
    number = isinstance(value, float | np.floating)
    return f"{value:.4g}" if number else str(value)


_ROW = Template("""\
<label>$name
<input type="range" min="0" max="$last" value="$at" aria-valuetext="$text">
<output>$text</output></label>""")

_PAGE = Template("""\
<figure class="dl-animation dl-sliders" id="$name">
<img src="$first" alt="$alt" width="$width" height="$height" loading="lazy">
<div class="dl-controls">
$rows
</div>
<figcaption>$caption</figcaption>
<script>
(() => {
  const root = document.getElementById("$name");
  const image = root.querySelector("img");
  const sliders = [...root.querySelectorAll("input")];
  const values = $values;
  const frames = $frames;
  const page = document.documentElement;
  const current = () => frames[page.dataset.theme === "dark" ? "dark" : "light"];
  const show = () => {
    let place = 0;
    sliders.forEach((slider, i) => {
      place = place * values[i].length + Number(slider.value);
      const text = values[i][slider.value];
      slider.setAttribute("aria-valuetext", text);
      slider.nextElementSibling.textContent = text;
    });
    image.src = current()[place];
  };
  sliders.forEach((slider) => slider.addEventListener("input", show));
  new MutationObserver(show).observe(page, {attributeFilter: ["data-theme"]});
  show();
  new IntersectionObserver((entries) => {
    if (!entries[0].isIntersecting || root.dataset.seen) return;
    root.dataset.seen = "yes";
    root.frames = current().map((source) => Object.assign(new Image(), {src: source}));
  }).observe(root);
})();
</script>
</figure>
""")
