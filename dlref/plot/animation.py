"""Animations that a reader can stop, step and print."""

import base64
import html
import io
import json
import uuid
from collections.abc import Callable, Sequence
from string import Template
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dlref import _check
from dlref.plot.style import style

__all__ = ["Animation", "animate"]


class Animation:
    """Frames with a play button and a slider on a page, a strip of four in print.

    See :func:`animate`.

    It starts by itself unless the reader asks the system for reduced motion.

    Args:
        frames: for each theme, ``"light"`` and ``"dark"``, the pictures as PNG.
        strip: the strip as PDF.
        alt: what the animation shows, for those who do not see it.
        caption: what to look for.
        fps: frames a second.

    Source:
        This book.

    Example:
        >>> def text(figure, t):
        ...     figure.axes[0].text(0, 0, str(t))
        >>> animation = animate(
        ...     text,
        ...     [1, 2],
        ...     background=Figure.subplots,
        ...     alt="a number",
        ...     caption="It grows.",
        ... )
        >>> sorted(animation._repr_mimebundle_())
        ['application/pdf', 'text/html']
    """

    def __init__(
        self,
        frames: dict[str, list[bytes]],
        strip: bytes,
        *,
        alt: str,
        caption: str,
        fps: float,
    ) -> None:
        self.frames = frames
        self.strip = strip
        self.alt = alt
        self.caption = caption
        self.fps = fps

    def _repr_mimebundle_(
        self,
        include: Any = None,  # noqa: ARG002  IPython's interface
        exclude: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        sources = addresses(self.frames)
        # the name comes from the content: a book that is built twice is the same twice
        name = (
            "anim-"
            + uuid.uuid5(uuid.NAMESPACE_OID, self.caption + sources["light"][-1]).hex[
                :12
            ]
        )
        page = _PLAYER.substitute(
            name=name,
            alt=html.escape(self.alt, quote=True),
            caption=html.escape(self.caption),
            last=len(sources["light"]) - 1,
            first=sources["light"][0],
            **dict(
                zip(
                    ("width", "height"),
                    Image.open(io.BytesIO(self.frames["light"][0])).size,
                    strict=True,
                )
            ),
            delay=round(1000 / self.fps),
            frames=json.dumps(sources),
        )
        return {
            "text/html": page,
            "application/pdf": base64.b64encode(self.strip).decode(),
        }


def animate(
    draw: Callable[[Figure, Any], object],
    frames: Sequence[Any],
    *,
    background: Callable[[Figure], object],
    alt: str,
    caption: str,
    figsize: tuple[float, float] = (6.4, 3.6),
    fps: float = 8,
) -> Animation:
    """Draw what stays once, and what moves for each frame.

    All of it for light and for dark pages.

    Args:
        draw: called with the figure and an element of ``frames``; adds lines, text or
            images to its axes, which are taken off again before the next frame.
        frames: what tells the frames apart: times, steps, parameters.
        background: called with the empty figure; makes the axes and draws what stays.
        alt: what the animation shows, for those who do not see it.
        caption: what to look for.
        figsize: width and height in inches.
        fps: frames a second, above 0.

    Raises:
        ValueError: if there is no frame, ``alt`` or ``caption`` is empty, or ``fps`` is
            not positive.

    Source:
        This book.

    Example:
        >>> def axes(figure):
        ...     figure.subplots().set(xlim=(0, 2))
        >>> def dot(figure, x):
        ...     figure.axes[0].plot(x, 0, "o")
        >>> animation = animate(
        ...     dot, range(3), background=axes, alt="a dot", caption="It moves."
        ... )
        >>> len(animation.frames["dark"])
        3
    """
    if not len(frames):
        raise ValueError("frames must not be empty")
    for name, text in (("alt", alt), ("caption", caption)):
        if not text.strip():
            raise ValueError(f"{name} must say something, got {_check.describe(text)}")
    fps = _check.real("fps", fps, "(0, inf)")
    pictures, strip = drawn(draw, frames, background, figsize)
    return Animation(pictures, strip, alt=alt, caption=caption, fps=fps)


def addresses(pictures: dict[str, list[bytes]]) -> dict[str, list[str]]:
    """The frames of each theme as addresses that hold them."""
    return {
        theme: [
            "data:image/png;base64," + base64.b64encode(frame).decode()
            for frame in frames
        ]
        for theme, frames in pictures.items()
    }


def drawn(
    draw: Callable[[Any, Any], object],
    frames: Sequence[Any],
    background: Callable[[Figure], object],
    figsize: tuple[float, float],
) -> tuple[dict[str, list[bytes]], bytes]:
    """The frames, light and dark, and up to four of them beside each other as PDF."""
    pictures: dict[str, list[bytes]] = {}
    with mpl.rc_context():
        for theme in ("light", "dark"):
            style(dark=theme == "dark")
            pictures[theme] = _frames_of(draw, frames, background, figsize)
        style()
        four = [
            frames[round(i)]
            for i in np.linspace(0, len(frames) - 1, min(4, len(frames)))
        ]
        figure = Figure(figsize=(figsize[0] * len(four), figsize[1]))
        parts = figure.subfigures(1, len(four), squeeze=False)[0]
        for part, frame in zip(parts, four, strict=True):
            background(part)
            draw(part, frame)
        strip = io.BytesIO()
        figure.savefig(strip, format="pdf", metadata={"CreationDate": None})
    return pictures, strip.getvalue()


def _frames_of(
    draw: Callable[[Figure, Any], object],
    frames: Sequence[Any],
    background: Callable[[Figure], object],
    figsize: tuple[float, float],
) -> list[bytes]:
    """Each frame as a picture in 64 colours."""
    figure = Figure(figsize=figsize, dpi=100)
    canvas = FigureCanvasAgg(figure)
    background(figure)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    settled = {id(artist) for artist in figure.findobj()}
    limits = [(axes, axes.axis()) for axes in figure.axes]
    pictures: list[bytes] = []
    for frame in frames:
        draw(figure, frame)
        for axes, bounds in limits:
            axes.axis(bounds)  # what moves must not move the axes
        canvas.restore_region(still)
        for axes in figure.axes:
            for artist in [
                child for child in axes.get_children() if id(child) not in settled
            ]:
                axes.draw_artist(artist)
                artist.remove()
        picture = io.BytesIO()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba()))
        pixels.quantize(64, method=Image.Quantize.FASTOCTREE).save(
            picture, "png", optimize=True
        )
        pictures.append(picture.getvalue())
    return pictures


_PLAYER = Template("""\
<figure class="dl-animation" id="$name">
<img src="$first" alt="$alt" width="$width" height="$height" loading="lazy">
<div class="dl-controls">
<button type="button">Play</button>
<input type="range" min="0" max="$last" value="0" aria-label="Frame">
</div>
<figcaption>$caption</figcaption>
<script>
(() => {
  const root = document.getElementById("$name");
  const image = root.querySelector("img");
  const button = root.querySelector("button");
  const slider = root.querySelector("input");
  const frames = $frames;
  let timer = null;
  const page = document.documentElement;
  const current = () => frames[page.dataset.theme === "dark" ? "dark" : "light"];
  const show = () => { image.src = current()[slider.value]; };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const play = () => {
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = (Number(slider.value) + 1) % (Number(slider.max) + 1);
      show();
    }, $delay);
  };
  button.addEventListener("click", () => (timer ? stop() : play()));
  slider.addEventListener("input", () => { stop(); show(); });
  new MutationObserver(show).observe(page, {attributeFilter: ["data-theme"]});
  show();
  const moves = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  new IntersectionObserver((entries) => {
    if (!entries[0].isIntersecting) return stop();
    if (root.dataset.seen) return;
    root.dataset.seen = "yes";
    root.frames = current().map((source) => Object.assign(new Image(), {src: source}));
    if (moves) play();
  }).observe(root);
})();
</script>
</figure>
""")
