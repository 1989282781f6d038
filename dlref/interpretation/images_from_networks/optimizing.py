"""Optimisation over the pixels of an image.

Shape legend: B images, C channels, H W image, ... the features of a layer.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref.interpretation.features.layers import layer_outputs
from dlref.train import evaluating

__all__ = [
    "OptimizedImage",
    "feature_inversion",
    "gaussian_blur",
    "optimize_image",
    "total_variation",
]

Bounds = tuple[Float[Tensor, "..."] | float, Float[Tensor, "..."] | float]
MakeOptimizer = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


def total_variation(x: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    r"""Mean absolute difference of neighbouring pixels, along rows plus along columns.

    .. math:: \frac{1}{C H (W-1)} \sum |x_{c,i,j+1} - x_{c,i,j}|
        + \frac{1}{C (H-1) W} \sum |x_{c,i+1,j} - x_{c,i,j}|

    Along an axis with one pixel there is no difference, and nothing is added.

    Args:
        x: images.

    Raises:
        TypeError, ValueError: if these are no images.

    Source:
        Rudin, Osher & Fatemi (1992), Physica D 60; in its anisotropic form.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]))
        tensor([1.])
    """
    _check.tensor("x", x, "B C H W", empty=True)
    total = x.new_zeros(len(x))
    for axis in (2, 3):
        steps = x.diff(dim=axis).abs()
        if 0 not in steps.shape[1:]:
            total = total + steps.mean((1, 2, 3))
    return total


def gaussian_blur(
    x: Float[Tensor, "B C H W"], sigma: float
) -> Float[Tensor, "B C H W"]:
    """Images smeared with a Gaussian; beyond the border they are mirrored.

    Args:
        x: images.
        sigma: standard deviation in pixels; below one sixth they are left as they are,
            since the weights reach over three standard deviations, rounded.

    Raises:
        TypeError, ValueError: if these are no images, ``sigma`` is negative, or the
            images are smaller than its reach of three standard deviations.

    Source:
        Haddad & Akansu (1991), IEEE Transactions on Signal Processing 39.

    Example:
        >>> bool(gaussian_blur(torch.eye(7)[None, None], 1.0)[0, 0, 3, 3] < 0.5)
        True
    """
    _check.tensor("x", x, "B C H W", empty=True)
    sigma = _check.real("sigma", sigma, "[0, inf)")
    reach = int(3 * sigma + 0.5)
    if reach == 0 or x.numel() == 0:
        return x
    if min(x.shape[2:]) <= reach:
        raise ValueError(
            f"x must have more than {reach} rows and columns for sigma {sigma}, "
            f"got {tuple(x.shape)}"
        )
    place = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weight = torch.softmax(-(place**2) / (2 * sigma**2), 0)
    padded = F.pad(x, (reach,) * 4, mode="reflect").flatten(0, 1)[:, None]
    rows = F.conv2d(padded, weight[None, None, :, None])
    return F.conv2d(rows, weight[None, None, None]).reshape(x.shape)


class OptimizedImage(NamedTuple):
    """What an optimisation over pixels has found.

    Attributes:
        image: (B, C, H, W) the images after the last step.
        values: for each step the objective before it, the mean over the images.

    Source:
        This book.

    Example:
        >>> OptimizedImage(torch.zeros(1, 3, 8, 8), [0.5]).values
        [0.5]
    """

    image: Tensor
    values: list[float]


def optimize_image(
    objective: Callable[[Tensor], Tensor],
    start: Float[Tensor, "B C H W"],
    *,
    optimizer: MakeOptimizer,
    steps: int,
    jitter: int = 0,
    blur: float = 0.0,
    bounds: Bounds | None = None,
    generator: torch.Generator | None = None,
) -> OptimizedImage:
    """Change images so that an objective rises.

    What the objective calls keeps its mode, its parameters and their gradients; put
    networks in evaluation mode before. Penalties are subtracted in the objective.

    Args:
        objective: images (B, C, H, W) to a value for each, (B,), or one for all.
        start: images to begin with; they are left as they are.
        optimizer: from a list with one tensor to what makes the steps, such as
            ``lambda images: torch.optim.Adam(images, lr=0.05)``; LBFGS may ask for the
            objective several times in a step.
        steps: how many.
        jitter: before each step the images are shifted by up to so many pixels in both
            directions, what leaves at one side coming in at the other.
        blur: standard deviation in pixels of a blur after each step.
        bounds: least and largest values after each step: numbers, or tensors that fit
            the images, such as (C, 1, 1).
        generator: source of the shifts; torch's own by default.

    Raises:
        TypeError, ValueError: if ``start`` holds no images, a setting is out of range,
            the bounds do not fit or are crossed, or the objective is not finite.

    Source:
        Simonyan, Vedaldi & Zisserman (2014), arXiv:1312.6034, section 2; the shifts are
        from Mordvintsev, Olah & Tyka (2015), "Inceptionism", the blur from Yosinski et
        al. (2015), arXiv:1506.06579.

    Example:
        >>> found = optimize_image(
        ...     lambda x: -((x - 1) ** 2).mean((1, 2, 3)),
        ...     torch.zeros(1, 1, 2, 2),
        ...     optimizer=lambda images: torch.optim.SGD(images, lr=1.0),
        ...     steps=20,
        ... )
        >>> bool((found.image > 0.99).all())
        True
    """
    _check.tensor("start", start, "B C H W")
    steps = _check.integer("steps", steps, 1)
    jitter = _check.integer("jitter", jitter, 0)
    blur = _check.real("blur", blur, "[0, inf)")
    low, high = bounds_of(bounds, start)
    image = start.detach().clone().requires_grad_()
    rule = optimizer([image])
    values: list[float] = []
    for _ in range(steps):
        shift = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
        first: list[float] = []

        def closure(shift: list[int] = shift, first: list[float] = first) -> float:
            with torch.enable_grad():
                value = objective(image.roll(shift, (2, 3)))
                loss = -value.sum()
            if not torch.isfinite(loss):
                raise ValueError(
                    f"objective must stay finite, got {value.mean().item()} "
                    f"in step {len(values)}"
                )
            first.append(value.detach().mean().item())
            (image.grad,) = torch.autograd.grad(loss, image)
            return loss.item()

        rule.step(closure)
        values.append(first[0])
        with torch.no_grad():
            image.copy_(gaussian_blur(image, blur).clamp(low, high))
    return OptimizedImage(image.detach(), values)


def bounds_of(bounds: Bounds | None, x: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest values, of a shape that fits the images."""
    both = []
    for value in (-torch.inf, torch.inf) if bounds is None else bounds:
        bound = torch.as_tensor(value, dtype=x.dtype, device=x.device)
        try:
            both.append(bound.expand_as(x))
        except RuntimeError:
            raise ValueError(
                f"bounds must be numbers or fit the shape {tuple(x.shape)}, "
                f"got {_check.describe(value)}"
            ) from None
    if len(both) != 2 or not (both[0] <= both[1]).all():
        raise ValueError("bounds must be (least, largest), the first not above")
    return both[0], both[1]


def feature_inversion(
    model: nn.Module,
    layer: str,
    features: Float[Tensor, "B ..."],
    start: Float[Tensor, "B C H W"],
    *,
    optimizer: MakeOptimizer,
    steps: int,
    tv: float = 0.0,
    bounds: Bounds | None = None,
) -> OptimizedImage:
    r"""An image whose features in a layer are near to given ones.

    .. math:: -\frac{\lVert \Phi(x) - \Phi_0 \rVert^2}{\lVert \Phi_0 \rVert^2}
        - \lambda \, TV(x)

    is raised, with :math:`\lambda` = ``tv`` and :func:`total_variation`. The network is
    asked in evaluation mode and afterwards is in the mode in which it was.

    Args:
        model: the network.
        layer: name of the layer.
        features: its output for the images that are sought.
        start: images to begin with.
        optimizer: from a list with one tensor to what makes the steps.
        steps: how many.
        tv: weight of the total variation.
        bounds: least and largest values, as for :func:`optimize_image`.

    Raises:
        TypeError, ValueError: if there is no such layer, the features have another
            shape than its output or are zero throughout, or a setting is out of range.

    Source:
        Mahendran & Vedaldi (2015), arXiv:1412.0035.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 1))
        >>> wanted = torch.rand(1, 1, 3, 3)
        >>> found = feature_inversion(
        ...     net,
        ...     "0",
        ...     net(wanted).detach(),
        ...     torch.zeros(1, 1, 3, 3),
        ...     optimizer=lambda images: torch.optim.LBFGS(
        ...         images, line_search_fn="strong_wolfe"
        ...     ),
        ...     steps=5,
        ... )
        >>> bool((found.image - wanted).abs().max() < 1e-3)
        True
    """
    tv = _check.real("tv", tv, "[0, inf)")
    _check.tensor("features", features, "...")
    _check.tensor("start", start, "B C H W")
    wanted = features.detach()
    size = (wanted**2).flatten(1).sum(1)
    if (size == 0).any():
        raise ValueError("features must not be zero throughout an image")

    def nearness(x: Tensor) -> Tensor:
        found = layer_outputs(model, x, [layer])[layer]
        if found.shape != wanted.shape:
            raise ValueError(
                f"features must have the shape {tuple(found.shape)} of the output of "
                f"{layer!r}, got {_check.describe(features)}"
            )
        far = ((found - wanted) ** 2).flatten(1).sum(1) / size
        return -far - tv * total_variation(x)

    with evaluating(model):
        return optimize_image(
            nearness, start, optimizer=optimizer, steps=steps, bounds=bounds
        )
