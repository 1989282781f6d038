"""Drawings of networks, made from the network; and paper for free drawings.

Shapes, parameters and multiplications on a drawing are those of a forward pass, so that
drawing and code cannot part.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from dlref import _check
from dlref.plot._graph import record
from dlref.plot._layout import Layout, layout
from dlref.plot._pen import Pen
from dlref.plot._sizes import shape_of, times

__all__ = ["Drawing", "drawing", "sketch"]


class Drawing:
    """A picture of a network: vector graphics on a page, in print, in a file.

    See :func:`drawing`.

    Args:
        figure: the picture.
        boxes: what is drawn, in the order in which it runs; each has ``name``,
            ``label``, ``output`` (shape of one example), ``parameters``,
            ``multiplications``, ``repeats`` and ``inputs``.
        alt: the drawing in words, made from its structure.

    Source:
        This book.

    Example:
        >>> import torch
        >>> print(drawing(nn.Linear(2, 3), torch.zeros(1, 2)).alt)
        Linear: input 2; Linear, 3 gives 3.
    """

    def __init__(self, figure: Figure, boxes: Sequence[Any], alt: str) -> None:
        self.figure = figure
        self.boxes = list(boxes)
        self.alt = alt

    def _repr_mimebundle_(
        self,
        include: Any = None,  # noqa: ARG002  IPython's interface
        exclude: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        return {
            "image/svg+xml": self._as("svg", Date=None, Description=self.alt).decode(),
            "application/pdf": base64.b64encode(
                self._as("pdf", CreationDate=None)
            ).decode(),
            "text/plain": self.alt,
        }

    def _as(self, kind: str, **metadata: str | None) -> bytes:
        file = io.BytesIO()
        self.figure.savefig(file, format=kind, metadata=metadata)
        return file.getvalue()


def drawing(
    model: nn.Module,
    *inputs: Tensor,
    depth: int | None = None,
    labels: Mapping[str, str] | None = None,
    direction: str = "down",
    counts: bool = True,
    join: bool = True,
    ax: Axes | None = None,
) -> Drawing:
    """Draw what a network computes, from one forward pass.

    Each call of a layer is a box, sums and products are circles, lines are tensors and
    bear the shape of one example. Equal layers in a row are drawn once, with their
    number. A network that calls a cell in a loop over its input is drawn unrolled.

    Args:
        model: any module; it runs once, in evaluation mode.
        inputs: what it is called with, the batch on the first axis.
        depth: how many parts the name of a box may have: 1 draws the parts of the
            model, 2 theirs; by default layers.
        labels: dotted name to what its box is to say instead of its kind.
        direction: ``"down"`` or ``"right"``.
        counts: write parameters and multiplications into the boxes.
        join: put normalisations and activations on the box that they follow.
        ax: where to draw; by default a figure of the size that is needed.

    Raises:
        TypeError: if ``model`` is no module, or an input no tensor.
        ValueError: if there is no input, ``depth`` is below 1, ``direction`` is none of
            the two, or ``labels`` names no module.

    Source:
        This book.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        >>> picture = drawing(net, torch.zeros(1, 2), direction="right")
        >>> [(box.label, box.parameters) for box in picture.boxes]
        [('input', 0), ('Linear, 3', 9), ('Tanh', 0), ('Linear, 1', 4)]
    """
    if not isinstance(model, nn.Module):
        got = _check.describe(model)
        raise TypeError(f"model must be a torch.nn.Module, got {got}")
    for tensor in inputs:
        if not isinstance(tensor, Tensor):
            got = _check.describe(tensor)
            raise TypeError(f"inputs must be tensors, got {got}")
    if not inputs:
        raise ValueError("inputs must be at least one tensor, got none")
    if depth is not None:
        _check.integer("depth", depth, 1)
    _check.one_of("direction", direction, ("down", "right"))
    known = dict(model.named_modules())
    for name in labels or {}:
        _check.one_of("labels", name, known)
    boxes, ends = record(model, inputs, depth, dict(labels or {}))
    placed = layout(boxes, ends, join=join)
    drawn = [box for stack in placed.stacks for box in stack.boxes]
    alt = _in_words(type(model).__name__, placed)
    return Drawing(Pen(placed, direction, counts).draw(ax), drawn, alt)


@contextmanager
def sketch(
    figsize: tuple[float, float], *, ax: Axes | None = None, unit: float = 0.5
) -> Iterator[Any]:
    """Paper for a free drawing in the house style.

    What is added to it is drawn when the block ends: data flow, trees, the layout of a
    tensor; see schemdraw's documentation for its elements.

    Args:
        figsize: width and height in inches; the drawing is centred and not stretched.
        ax: where to draw; by default a new figure.
        unit: inches of a drawing unit; what does not fit is drawn smaller.

    Returns:
        a ``schemdraw.Drawing``, to which elements are added with ``+=``.

    Raises:
        ImportError: if schemdraw is not installed.

    Source:
        Delker, "schemdraw", https://schemdraw.readthedocs.io.

    Example:
        >>> from schemdraw import flow
        >>> with sketch((3.0, 1.0)) as paper:
        ...     paper += flow.Box(w=2, h=1).label("x")
        ...     paper += flow.Arrow().right()
    """
    try:
        import schemdraw
    except ModuleNotFoundError as error:
        raise ImportError(
            "sketch needs schemdraw: pip install 'dlref[notebook]'"
        ) from error
    ink = mpl.rcParams["text.color"]
    if ax is None:
        from matplotlib import pyplot as plt

        figure = plt.figure(figsize=figsize, layout="constrained")
        figure.set_layout_engine("none")  # layout="none" is forgotten when it is saved
        ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    paper = schemdraw.Drawing(canvas=ax, show=False)
    paper.config(unit=2, fontsize=9, color=ink, lw=1.2, inches_per_unit=unit)
    yield paper
    paper.draw(show=False)
    box = paper.get_bbox()
    margin = 0.1
    width, height = (length / unit for length in figsize)
    # smaller in both directions at once, so that the limits are of the paper's shape
    smaller = max(
        1.0,
        (box.xmax - box.xmin + 2 * margin) / width,
        (box.ymax - box.ymin + 2 * margin) / height,
    )
    width, height = smaller * width, smaller * height
    x, y = (box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2
    ax.set(xlim=(x - width / 2, x + width / 2), ylim=(y - height / 2, y + height / 2))
    ax.set_aspect("equal", adjustable="datalim")


def _in_words(name: str, placed: Layout) -> str:
    """The structure as a sentence."""
    parts: list[str] = []
    for i, stack in enumerate(placed.stacks):
        first, last = stack.boxes[0], stack.boxes[-1]
        words = ", ".join(times(box) for box in stack.boxes)
        if first.group == "input":
            parts.append(f"{first.label} {shape_of(last)}")
            continue
        where = ""
        if len(stack.inputs) > 1 or (i and stack.inputs != [i - 1]):
            heads = [placed.stacks[n].boxes[-1].label for n in stack.inputs]
            where = " of " + " and ".join(heads)
        words = {"+": "sum", "×": "product", "−": "difference"}.get(words, words)
        parts.append(f"{words}{where} gives {shape_of(last)}")
    return f"{name}: {'; '.join(parts)}."
