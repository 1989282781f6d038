"""Deep Dream: show a network more of what it already sees.

Shape legend: B images, C channels, H W image.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.interpretation.features.layers import layer_outputs
from dlref.interpretation.images_from_networks.optimizing import Bounds, bounds_of
from dlref.train import evaluating

__all__ = ["deep_dream"]


def deep_dream(
    model: nn.Module,
    x: Float[Tensor, "B C H W"],
    layer: str,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    lr: float = 0.02,
    jitter: int = 16,
    bounds: Bounds | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "B C H W"]:
    r"""Raise the mean square of a layer's output, from small images to large ones.

    On each size, smallest first, the image gets ``steps`` steps

    .. math:: x \leftarrow x + \eta \, \frac{g}{\operatorname{mean} |g|},
        \qquad g = \frac{\partial}{\partial x} \operatorname{mean} \Phi(x)^2

    and what they have added is carried over to the next size, enlarged.

    Args:
        model: the network; it is asked in evaluation mode and afterwards is in the
            mode in which it was.
        x: images to begin with.
        layer: name of the layer whose output is raised.
        octaves: number of sizes.
        octave_scale: ratio of a size to the next smaller one.
        steps: on each size.
        lr: mean change of a value in a step, in units of the input.
        jitter: the image is shifted by up to so many pixels before each step, and back
            after it.
        bounds: least and largest values: numbers, or tensors that fit the images at
            every size, such as (C, 1, 1).
        generator: source of the shifts; torch's own by default.

    Raises:
        TypeError, ValueError: if there is no such layer, or a setting is out of range.
        RuntimeError: the network's own, if the smallest size is too small for it.

    Source:
        Mordvintsev, Olah & Tyka (2015), "Inceptionism: going deeper into neural
        networks", Google research blog.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        >>> x = torch.rand(1, 3, 20, 20)
        >>> dream = deep_dream(net, x, "1", octaves=2, bounds=(0.0, 1.0))
        >>> dream.shape, bool(net(dream).square().mean() > net(x).square().mean())
        (torch.Size([1, 3, 20, 20]), True)
    """
    _check.tensor("x", x, "B C H W")
    octaves = _check.integer("octaves", octaves, 1)
    octave_scale = _check.real("octave_scale", octave_scale, "(1, inf)")
    steps = _check.integer("steps", steps, 1)
    lr = _check.real("lr", lr, "(0, inf)")
    jitter = _check.integer("jitter", jitter, 0)
    bounds_of(bounds, x)
    height, width = x.shape[2:]
    scales = [octave_scale ** (k - octaves + 1) for k in range(octaves)]
    sizes = [(max(1, round(height * s)), max(1, round(width * s))) for s in scales]
    image = _resized(x.detach(), sizes[0])
    with evaluating(model):
        for k, size in enumerate(sizes):
            if k:
                added = image - _resized(x.detach(), sizes[k - 1])
                image = _resized(x.detach(), size) + _resized(added, size)
            for _ in range(steps):
                shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator)
                down, right = shift.tolist()
                moved = image.roll((down, right), (2, 3))
                slope = _slope(model, moved, layer).roll((-down, -right), (2, 3))
                mean = slope.abs().mean((1, 2, 3), keepdim=True)
                image = image + lr * slope / mean.clamp(
                    min=torch.finfo(mean.dtype).tiny
                )
                image = image.clamp(*bounds_of(bounds, image))
    return image


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True)


def _slope(model: nn.Module, x: Tensor, layer: str) -> Tensor:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        squares = layer_outputs(model, x, [layer])[layer] ** 2
        (found,) = torch.autograd.grad(squares.flatten(1).mean(1).sum(), x)
    return found
