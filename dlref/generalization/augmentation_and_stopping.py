"""Augmented pictures, inputs on one scale, and stopping in time.

Shape legend: B pictures, C channels, H W height and width, N features of an example.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check
from dlref._precision import in_single

__all__ = [
    "ColorJitter",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Standardize",
    "affine_matrix",
    "transform",
]


def affine_matrix(
    degrees: Float[Tensor, " B"],
    *,
    translate: Float[Tensor, "B 2"] | None = None,
    scale: Float[Tensor, " B"] | None = None,
    shear: Float[Tensor, " B"] | None = None,
) -> Float[Tensor, "B 2 3"]:
    r"""Matrices that move pictures.

    First sheared along x, then scaled, then turned, then shifted.

    .. math:: A = s \begin{pmatrix} \cos\varphi & -\sin\varphi \\ \sin\varphi &
        \cos\varphi \end{pmatrix} \begin{pmatrix} 1 & \tan\psi \\ 0 & 1 \end{pmatrix}

    in coordinates with x to the right and y *down*, so that a positive angle turns
    clockwise.

    Args:
        degrees: angle phi of the turn of each picture.
        translate: shift along x and y, in half widths and half heights of the picture;
            by default none.
        scale: factor s, above 1 to enlarge; by default 1.
        shear: angle psi in degrees; by default 0.

    Raises:
        TypeError, ValueError: if an argument is no tensor of floating-point numbers, or
            not of B rows.

    Source:
        Simard, Steinkraus & Platt (2003), ICDAR, for pictures made by affine maps.

    Example:
        >>> affine_matrix(torch.tensor([90.0])).round()[0].abs().tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    size = len(_check.tensor("degrees", degrees, "B"))
    zeros = torch.zeros_like(degrees)
    shift = (
        torch.stack([zeros, zeros], 1)
        if translate is None
        else _check.tensor("translate", translate, "B xy", B=size, xy=2)
    )
    factor = zeros + 1 if scale is None else _check.tensor("scale", scale, "B", B=size)
    slant = zeros if shear is None else _check.tensor("shear", shear, "B", B=size)
    phi, psi = degrees * (math.pi / 180), (slant * (math.pi / 180)).tan()
    cos, sin = factor * phi.cos(), factor * phi.sin()
    rows = [
        torch.stack([cos, cos * psi - sin, shift[:, 0]], 1),
        torch.stack([sin, sin * psi + cos, shift[:, 1]], 1),
    ]
    return torch.stack(rows, 1)


def transform(
    x: Float[Tensor, "B C H W"], matrix: Float[Tensor, "B 2 3"], *, fill: float = 0.0
) -> Float[Tensor, "B C H W"]:
    """Move pictures by affine maps about their centre, with bilinear interpolation.

    Args:
        x: square pictures, or others for which a turn may also stretch.
        matrix: where each point goes, in coordinates from -1 to 1; see
            :func:`affine_matrix`.
        fill: value of what comes in from outside.

    Raises:
        TypeError, ValueError: if the shapes do not belong together, or a matrix cannot
            be inverted.

    Source:
        Jaderberg et al. (2015), arXiv:1506.02025, for the sampling.

    Example:
        >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> transform(x, affine_matrix(torch.tensor([90.0]))).round()[0, 0].tolist()
        [[3.0, 1.0], [4.0, 2.0]]
    """
    _check.tensor("x", x, "B C H W")
    _check.tensor("matrix", matrix, "B two three", B=len(x), two=2, three=3)
    return in_single(_moved, x, matrix.to(x.dtype), fill=fill)


def _moved(x: Tensor, matrix: Tensor, *, fill: float) -> Tensor:
    linear, shift = matrix[:, :, :2], matrix[:, :, 2:]
    try:  # the grid says for each place of the result where in x to look
        back = torch.linalg.inv(linear)
    except RuntimeError as error:
        raise ValueError(
            "matrix must be invertible, got one with determinant 0"
        ) from error
    grid = F.affine_grid(
        torch.cat([back, -back @ shift], 2), list(x.shape), align_corners=False
    )
    return F.grid_sample(x - fill, grid, align_corners=False) + fill


def _picked(value: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(len(value), dtype=value.dtype, device=value.device).uniform_(
        low, high
    )


class _Augmentation(nn.Module):
    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Change each picture in a way of its own; in evaluation, none."""
        _check.tensor("x", x, "B C H W")
        return self._augment(x) if self.training else x

    def _augment(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class RandomHorizontalFlip(_Augmentation):
    """Mirror each picture with probability p, in training.

    Right where left and right mean the same.

    Args:
        p: probability, in [0, 1].

    Raises:
        TypeError, ValueError: if ``p`` is not in [0, 1].

    Source:
        Krizhevsky, Sutskever & Hinton (2012), NIPS, section 4.1.

    Example:
        >>> RandomHorizontalFlip(1.0)(torch.tensor([[[[1.0, 2.0]]]])).tolist()
        [[[[2.0, 1.0]]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _check.real("p", p, "[0, 1]")

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return f"p={self.p}"

    def _augment(self, x: Tensor) -> Tensor:
        return torch.where(
            (_picked(x, 0.0, 1.0) < self.p)[:, None, None, None], x.flip(3), x
        )


class RandomCrop(_Augmentation):
    """Pad each picture and cut a piece of its own size at random, in training.

    Args:
        padding: pixels on each side, at least 1.
        fill: value of the padding.

    Raises:
        TypeError, ValueError: if ``padding`` is below 1.

    Source:
        He et al. (2016), arXiv:1512.03385, section 4.2.

    Example:
        >>> RandomCrop(2)(torch.ones(5, 3, 8, 8)).shape
        torch.Size([5, 3, 8, 8])
    """

    def __init__(self, padding: int, *, fill: float = 0.0) -> None:
        super().__init__()
        self.padding = _check.integer("padding", padding, 1)
        self.fill = _check.real("fill", fill)

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return f"padding={self.padding}, fill={self.fill}"

    def _augment(self, x: Tensor) -> Tensor:
        size, _, height, width = x.shape
        padded = F.pad(x, [self.padding] * 4, value=self.fill)
        top, left = torch.randint(2 * self.padding + 1, (2, size, 1), device=x.device)
        rows, columns = (
            p + torch.arange(n, device=x.device)
            for p, n in ((top, height), (left, width))
        )
        picture = torch.arange(size, device=x.device)[:, None, None]
        return padded[picture, :, rows[:, :, None], columns[:, None, :]].permute(
            0, 3, 1, 2
        )


class RandomAffine(_Augmentation):
    """Turn, shift, scale and shear each picture at random, in training.

    Args:
        degrees: turns by up to this much either way.
        translate: shifts by up to this share of width and height.
        scale: factors between these two.
        shear: slants by up to this many degrees either way.
        fill: value of what comes in from outside.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Simard, Steinkraus & Platt (2003), ICDAR.

    Example:
        >>> RandomAffine(degrees=15.0, translate=0.1)(torch.rand(4, 1, 28, 28)).shape
        torch.Size([4, 1, 28, 28])
    """

    def __init__(
        self,
        degrees: float = 0.0,
        translate: float = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
        *,
        fill: float = 0.0,
    ) -> None:
        super().__init__()
        self.degrees = _check.real("degrees", degrees, "[0, 180]")
        self.translate = _check.real("translate", translate, "[0, 1]")
        low = _check.real("scale", scale[0], "(0, inf)")
        self.scale = low, _check.real("scale", scale[1], f"[{low}, inf)")
        self.shear = _check.real("shear", shear, "[0, 90)")
        self.fill = _check.real("fill", fill)

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        turns = f"degrees={self.degrees}, translate={self.translate}"
        return f"{turns}, scale={self.scale}, shear={self.shear}, fill={self.fill}"

    def _augment(self, x: Tensor) -> Tensor:
        shift = 2 * self.translate  # in half widths
        matrix = affine_matrix(
            _picked(x, -self.degrees, self.degrees),
            translate=torch.stack(
                [_picked(x, -shift, shift), _picked(x, -shift, shift)], 1
            ),
            scale=_picked(x, *self.scale),
            shear=_picked(x, -self.shear, self.shear),
        )
        return transform(x, matrix, fill=self.fill)


class ColorJitter(_Augmentation):
    """Change brightness, contrast and saturation at random, in training.

    In that order, each picture by itself.

    Args:
        brightness: factor between 1 minus this and 1 plus this on all values.
        contrast: the same on the distance from the picture's mean grey.
        saturation: the same on the distance of each pixel from its own grey.

    Raises:
        TypeError, ValueError: if a number is not in [0, 1].

    Source:
        Howard (2013), arXiv:1312.5402, section 2.

    Example:
        >>> ColorJitter(0.4, 0.4, 0.4)(torch.rand(2, 3, 8, 8)).amax() <= 1
        tensor(True)
    """

    def __init__(
        self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0
    ) -> None:
        super().__init__()
        self.brightness = _check.real("brightness", brightness, "[0, 1]")
        self.contrast = _check.real("contrast", contrast, "[0, 1]")
        self.saturation = _check.real("saturation", saturation, "[0, 1]")

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        light = f"brightness={self.brightness}, contrast={self.contrast}"
        return f"{light}, saturation={self.saturation}"

    def _augment(self, x: Tensor) -> Tensor:
        _check.tensor("x", x, "B three H W", three=3)
        strengths = self.brightness, self.contrast, self.saturation
        light, contrast, colour = (
            _picked(x, 1 - s, 1 + s)[:, None, None, None] for s in strengths
        )
        x = (x * light).clamp(0, 1)
        mean = _grey(x).mean((2, 3), keepdim=True)
        x = (mean + (x - mean) * contrast).clamp(0, 1)
        grey = _grey(x)
        return (grey + (x - grey) * colour).clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    weights = torch.tensor(
        [0.299, 0.587, 0.114], dtype=x.dtype, device=x.device
    )  # ITU-R BT.601
    return torch.einsum("bchw,c->bhw", x, weights)[:, None]


def _make_room(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *rest: Any
) -> None:
    """Before a state is loaded: as many features as it has."""
    del rest
    for name, value in module.named_buffers():
        found = state_dict.get(f"{prefix}{name}", value)
        setattr(module, name, value.new_empty(found.shape))


class Standardize(nn.Module):
    r"""Bring features to mean 0 and deviation 1, by a training set's statistics.

    .. math:: \hat x = \frac{x - \mu}{\sigma}

    Args:
        eps: what a standard deviation is raised to if it is smaller; a feature that
            never varies becomes 0, and is not scaled.

    Raises:
        TypeError, ValueError: if ``eps`` is not above 0.

    Source:
        LeCun, Bottou, Orr & Mueller (1998), "Efficient backprop", section 4.3.

    Example:
        >>> scale = Standardize().fit(torch.tensor([[1.0], [3.0]]))
        >>> scale(torch.tensor([[2.0], [5.0]])).tolist()
        [[0.0], [3.0]]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = _check.real("eps", eps, "(0, inf)")
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("std", torch.empty(0))
        self.register_load_state_dict_pre_hook(_make_room)

    def fit(self, x: Float[Tensor, "B N"]) -> "Standardize":
        """Take mean and standard deviation of each feature from these examples."""
        _check.tensor("x", x, "B N")
        low, high = x.aminmax(dim=0)
        same = low == high  # a mean of equal numbers may differ from them by rounding
        self.mean = torch.where(same, low, x.mean(0))
        std = x.std(0, correction=0).clamp(min=self.eps)
        self.std = torch.where(same, 1.0, std)
        return self

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return f"eps={self.eps}"

    def forward(self, x: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Shift and scale by the training set's statistics.

        Whatever the examples' own are.
        """
        if not self.mean.numel():
            raise RuntimeError(
                "fit must be called before, got a layer without statistics"
            )
        return (_check.tensor("x", x, "B N", N=len(self.mean)) - self.mean) / self.std
