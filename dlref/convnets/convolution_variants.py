r"""Convolutions that go up, leave gaps, or treat channels and pixels apart.

Shape legend: B batch, C channels, O output channels, H W input, P Q output, K L kernel.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref._precision import autocast, in_single
from dlref.convnets._correlation import paint
from dlref.convnets._windows import (
    Geometry,
    also_unbatched,
    check_kernels,
    images,
    painted_size,
    pair,
)
from dlref.convnets.convolution import Conv2d

__all__ = [
    "ConvTranspose2d",
    "DepthwiseSeparable",
    "Upsample",
    "conv_transpose2d",
    "interpolate",
    "interpolation_matrix",
    "overlap_count",
]


@torch.fx.wrap
@also_unbatched
def conv_transpose2d(
    x: Float[Tensor, "*B C H W"],
    weight: Float[Tensor, "C Og K L"],
    bias: Float[Tensor, " O"] | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    output_padding: int | tuple[int, int] = 0,
    groups: int = 1,
    dilation: int | tuple[int, int] = 1,
) -> Float[Tensor, "*B O P Q"]:
    r"""Let every number of the input paint the kernel on the output, and add up.

    .. math:: y_{b,\,o,\,sp + dk - r,\,sq + dl - r} \mathrel{+}= w_{c,o,k,l}\,
        x_{b,c,p,q}

    with stride :math:`s`, dilation :math:`d` and padding :math:`r`: what the gradient
    of :func:`~dlref.convnets.convolution.conv2d` does to images. It is its transpose,
    not its inverse.

    Args:
        x: maps, channels first, or those of one image by itself.
        weight: one kernel a pair of channels; ``Og`` is ``O / groups``.
        bias: added to all positions of its output channel.
        stride: pixels between neighbouring kernels in the output; one number, or
            (vertical, horizontal), as for the other sizes.
        padding: rows and columns cut off on each side.
        output_padding: further rows at the bottom and columns on the right, fewer than
            the stride or the dilation.
        groups: into how many parts the channels are dealt.
        dilation: pixels between the taps of a kernel.

    Raises:
        TypeError, ValueError: if a shape, type or size does not fit; the message names
            the argument.

    Source:
        Dumoulin & Visin (2016), arXiv:1603.07285, section 4. The signature is torch's.

    Example:
        >>> conv_transpose2d(
        ...     torch.tensor([[[[1.0, 4.0], [0.0, 2.0]]]]),
        ...     torch.tensor([[[[2.0, 2.0], [1.0, 1.0]]]]),
        ... )
        tensor([[[[ 2., 10.,  8.],
                  [ 1.,  9.,  8.],
                  [ 0.,  2.,  2.]]]])
    """
    x, weight, bias = autocast(x, weight, bias)
    C = images(x).shape[1]
    _, Og, *kernel = _check.tensor("weight", weight, "C Og K L", C=C).shape
    if C % _check.integer("groups", groups, 1):
        raise ValueError(f"groups must divide the {C} channels of x, got {groups}")
    if weight.dtype != x.dtype:
        raise TypeError(f"weight must be of x's type {x.dtype}, got {weight.dtype}")
    if bias is not None:
        _check.tensor("bias", bias, "O", O=Og * groups)
    steps, gaps = pair("stride", stride, 1), pair("dilation", dilation, 1)
    around, more = (
        pair("padding", padding, 0),
        pair("output_padding", output_padding, 0),
    )
    size = tuple(map(painted_size, x.shape[2:], kernel, steps, gaps, around, more))
    geometry = Geometry(steps, gaps, around, groups)

    def maps(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = paint(x, weight, size=size, geometry=geometry)
        return y if bias is None else y + bias[:, None, None]

    return in_single(maps, x, weight, bias)


class ConvTranspose2d(nn.ConvTranspose2d):
    """Layer of :func:`conv_transpose2d`.

    Weights go to and fro between it and ``torch.nn.ConvTranspose2d``, whose attributes
    it has; in use it takes no ``output_size``.

    Args:
        in_channels: channels of the maps.
        out_channels: channels of the output.
        kernel_size: taps, one number or (vertical, horizontal).
        stride, padding, output_padding, groups, dilation: see :func:`conv_transpose2d`.
        bias: whether each output channel has one.
        padding_mode: ``"zeros"``, as in torch.
        device, dtype: of the weights.

    Raises:
        TypeError, ValueError: if a size is none, or the channels are no multiples of
            ``groups``.

    Source:
        Zeiler, Krishnan, Taylor & Fergus (2010), CVPR ("deconvolutional networks").
        Weights begin as torch's do.

    Example:
        >>> ConvTranspose2d(3, 2, 4, stride=2, padding=1)(torch.zeros(1, 3, 7, 7)).shape
        torch.Size([1, 2, 14, 14])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_kernels(
            in_channels, out_channels, groups, padding_mode,
            kernel_size=kernel_size, stride=stride, dilation=dilation,
            padding=padding, output_padding=output_padding,
        )  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding,
            groups, bias, dilation, "zeros", device, dtype,
        )  # fmt: skip

    def forward(  # torch names the input so
        self,
        input: Tensor,  # noqa: A002
        output_size: list[int] | None = None,
    ) -> Tensor:
        """Larger maps; an ``output_size`` is refused."""
        _check.one_of("output_size", output_size, [None])
        settings = self.padding, self.output_padding, self.groups, self.dilation
        return conv_transpose2d(input, self.weight, self.bias, self.stride, *settings)  # type: ignore[arg-type]


def overlap_count(size: int, kernel_size: int, stride: int) -> Float[Tensor, "P P"]:
    """How many inputs paint each pixel of the output of a transposed convolution.

    Args:
        size: rows and columns of the input.
        kernel_size: rows and columns of the kernel.
        stride: pixels between neighbouring kernels.

    Raises:
        TypeError, ValueError: if one of them is not a whole number above zero.

    Source:
        Odena, Dumoulin & Olah (2016), Distill, doi:10.23915/distill.00003.

    Example:
        >>> overlap_count(2, 3, 2)[0]
        tensor([1., 1., 2., 1., 1.])
    """
    n = _check.integer("size", size, 1)
    k = _check.integer("kernel_size", kernel_size, 1)
    return conv_transpose2d(
        torch.ones(1, 1, n, n), torch.ones(1, 1, k, k), stride=stride
    )[0, 0]


def interpolation_matrix(
    size: int,
    output_size: int,
    mode: str = "linear",
    align_corners: bool = False,
    scale: float | None = None,
) -> Float[Tensor, "output_size size"]:
    r"""Weights with which each pixel of a resized line is made of the given ones.

    The line may become longer or shorter.

    Output :math:`i` lies at place :math:`x_i` of the input, and takes from its two
    neighbours in linear interpolation

    .. math:: A_{i,j} = \max(0,\, 1 - |x_i - j|), \qquad
        x_i = \begin{cases} i\,\frac{n-1}{m-1} & \text{corners aligned} \\
        (i + \tfrac12)\frac{n}{m} - \tfrac12 & \text{not} \end{cases}

    (never outside the line), and in the nearest mode the one number
    :math:`\lfloor i\, n/m \rfloor`.

    Args:
        size: pixels that are given, :math:`n`.
        output_size: pixels that are wanted, :math:`m`.
        mode: ``"nearest"`` or ``"linear"``.
        align_corners: whether the centres of the outer pixels stay where they are, or
            their outer edges; without effect in the nearest mode.
        scale: pixels of the input for one of the output, where that is not :math:`n/m`;
            without effect where corners are aligned.

    Raises:
        TypeError, ValueError: if an argument is none of these.

    Source:
        The conventions of ``torch.nn.functional.interpolate``.

    Example:
        >>> interpolation_matrix(2, 3, align_corners=True)
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000],
                [0.0000, 1.0000]], dtype=torch.float64)
    """
    n = _check.integer("size", size, 1)
    m = _check.integer("output_size", output_size, 1)
    step = n / m if scale is None else _check.real("scale", scale, "(0, inf)")
    if m == n or (m == 2 * n and mode == "nearest"):
        step = n / m  # as torch has it: such a size asks for no scale
    i = torch.arange(m, dtype=torch.float64)
    if _check.one_of("mode", mode, ["nearest", "linear"]) == "nearest":
        at = (i * n / m if step == n / m else i * step).floor()
    elif align_corners:
        at = i * (n - 1) / max(m - 1, 1)
    else:
        at = (i + 0.5) * step - 0.5
    distance = at.clamp(0, n - 1)[:, None] - torch.arange(n)
    return (1 - distance.abs()).clamp(min=0)


@torch.fx.wrap
def interpolate(
    x: Float[Tensor, "B C H W"],
    size: int | tuple[int, int] | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Float[Tensor, "B C P Q"]:
    r"""Enlarge (or reduce) maps by interpolation, along rows and along columns.

    .. math:: Y = A_{\text{rows}}\, X A_{\text{columns}}^\top

    with the matrices of :func:`interpolation_matrix`.

    Args:
        x: maps, channels first.
        size: rows and columns of the output, one number or two.
        scale_factor: instead of a size, how many times as many; the output's size is
            rounded down.
        mode: ``"nearest"`` or ``"bilinear"``.
        align_corners: see :func:`interpolation_matrix`.

    Raises:
        TypeError, ValueError: if a shape or size does not fit, or there is not exactly
            one of ``size`` and ``scale_factor``.

    Source:
        The signature and the conventions are torch's. Differs: a number that is not
        finite spoils its whole row and column; places are computed in float64, torch's
        in float32, which may round another pixel to be the nearest.

    Example:
        >>> interpolate(torch.tensor([[[[1.0, 2.0]]]]), size=(1, 4))
        tensor([[[[1., 1., 2., 2.]]]])
    """
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"size or scale_factor must be given, and only one, got {size} and "
            f"{scale_factor}"
        )
    _check.one_of("mode", mode, ["nearest", "bilinear"])
    steps: list[float | None] = [None, None]
    given, found = images(x).shape[2:], []
    if scale_factor is None:
        found += pair("size", size, 1)
    else:
        factors = (
            scale_factor
            if isinstance(scale_factor, tuple | list)
            else (scale_factor, scale_factor)
        )
        for axis, factor in enumerate(factors):
            factor = _check.real("scale_factor", factor, "(0, inf)")
            found.append(int(given[axis] * factor))
            steps[axis] = 1 / factor
        if not math.prod(found):
            raise ValueError(
                f"scale_factor must leave something of {given[0]} x {given[1]} pixels, "
                f"got {scale_factor}"
            )
    kind, aligned = mode.removeprefix("bi"), bool(align_corners)
    rows, columns = (
        interpolation_matrix(n, m, kind, aligned, step)
        for n, m, step in zip(given, found, steps, strict=True)
    )
    return in_single(lambda x: rows.to(x) @ x @ columns.to(x).T, x)


class Upsample(nn.Upsample):
    """Layer of :func:`interpolate`.

    Args:
        size, scale_factor, mode, align_corners: see :func:`interpolate`.

    Raises:
        TypeError, ValueError: in use, as :func:`interpolate`.

    Source:
        See :func:`interpolate`.

    Example:
        >>> Upsample(scale_factor=2.0)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 8, 10])
    """

    def __init__(
        self,
        size: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__(size, scale_factor, mode, align_corners)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name in torch
        """Larger or smaller maps."""
        how = self.size, self.scale_factor, self.mode, self.align_corners
        return interpolate(input, *how)  # type: ignore[arg-type]


class DepthwiseSeparable(nn.Module):
    r"""A convolution in two steps.

    One kernel a channel, then a 1 x 1 convolution that mixes the channels.

    For :math:`O` outputs and :math:`f \times f` kernels it takes :math:`1/O + 1/f^2` of
    the multiplications.

    Args:
        in_channels: channels of the images.
        out_channels: channels of the result, any number.
        kernel_size: taps of the first step, one number or (vertical, horizontal).
        stride, padding: of the first step, see
            :func:`~dlref.convnets.convolution.conv2d`.
        bias: whether both steps have biases.

    Raises:
        TypeError, ValueError: as :class:`~dlref.convnets.convolution.Conv2d`.

    Source:
        Sifre (2014), PhD thesis, Ecole Polytechnique; the form is that of Howard et al.
        (2017), arXiv:1704.04861.

    Example:
        >>> DepthwiseSeparable(3, 5, 3)(torch.zeros(1, 3, 6, 6)).shape
        torch.Size([1, 5, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, 1, in_channels, bias
        )
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B O P Q"]:
        """Maps of the images."""
        return self.pointwise(self.depthwise(x))
