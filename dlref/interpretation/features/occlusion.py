"""Hide a part of a picture and see what the network says.

Shape legend: B batch, C channels, H W image.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.interpretation.features.attribution import baseline_of
from dlref.interpretation.features.layers import Target, scores

__all__ = ["occlusion"]


def occlusion(
    model: nn.Module,
    x: Float[Tensor, "B C H W"],
    target: Target,
    *,
    window: int | tuple[int, int],
    stride: int | tuple[int, int],
    baselines: Float[Tensor, "..."] | float = 0.0,
    batch_size: int = 64,
) -> Float[Tensor, "B H W"]:
    r"""Mean fall of a score over the windows that hide a pixel.

    .. math:: M_{ij} = \frac{1}{|\mathcal R_{ij}|} \sum_{R \in \mathcal R_{ij}}
        \bigl(f(x) - f(x \text{ with } R \text{ hidden})\bigr)

    Windows begin at 0, stride, 2 stride, ... until they reach the border; the last is
    cut off there. Without gradients.

    Args:
        model: in evaluation mode; (B, C, H, W) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.
        window: rows and columns that are hidden, at most those of the picture.
        stride: pixels from one window to the next, at most the window.
        baselines: what is put there: a number, or a tensor that fits ``x``.
        batch_size: how many pictures the network is shown at a time.

    Raises:
        TypeError: if ``model`` is no module, or a size no integer.
        ValueError: if the model is in training mode, there is no such target, or a
            size or the baseline does not fit.

    Source:
        Zeiler & Fergus (2014), arXiv:1311.2901, section 4.2.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)).eval()
        >>> found = occlusion(net, torch.ones(1, 1, 2, 2), 0, window=1, stride=1)
        >>> torch.allclose(found.flatten(), net[1].weight.flatten())
        True
    """
    _check.tensor("x", x, "B C H W")
    size = x.shape[2:]
    window, stride = _pair("window", window, size), _pair("stride", stride, size)
    if stride[0] > window[0] or stride[1] > window[1]:
        raise ValueError(
            "stride must be at most the window, or pixels would be left out, "
            f"got {stride} and {window}"
        )
    batch_size = _check.integer("batch_size", batch_size, 1)
    colour = baseline_of(baselines, x)
    rows, columns = (
        _spans(size[axis], window[axis], stride[axis], x.device) for axis in (0, 1)
    )
    with torch.no_grad():
        whole = scores(model, x, target)
        maps = []
        for k, image in enumerate(x):
            one = target[k : k + 1] if isinstance(target, Tensor) else target
            found = []
            for places in _places(len(rows), len(columns)).split(batch_size):
                hidden = rows[places[:, 0], :, None] & columns[places[:, 1], None, :]
                shown = torch.where(hidden[:, None], colour[k], image)
                each = one.expand(len(shown)) if isinstance(one, Tensor) else one
                found.append(scores(model, shown, each))
            falls = whole[k] - torch.cat(found).reshape(len(rows), len(columns))
            maps.append(rows.to(falls).T @ falls @ columns.to(falls))
    return torch.stack(maps) / torch.outer(rows.sum(0), columns.sum(0))


def _pair(name: str, value: int | tuple[int, int], size: torch.Size) -> tuple[int, int]:
    both = value if isinstance(value, tuple) else (value, value)
    if len(both) != 2:
        raise ValueError(f"{name} must be one or two integers, got {value!r}")
    return (
        _check.integer(name, both[0], 1, size[0]),
        _check.integer(name, both[1], 1, size[1]),
    )


def _spans(length: int, window: int, stride: int, device: torch.device) -> Tensor:
    """Which of the pixels along an axis each window hides, (windows, length)."""
    count = -(-(length - window) // stride) + 1
    start = stride * torch.arange(count, device=device)[:, None]
    pixel = torch.arange(length, device=device)
    return (pixel >= start) & (pixel < start + window)


def _places(rows: int, columns: int) -> Tensor:
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
