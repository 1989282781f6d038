r"""Convolution and pooling from their definitions, and what follows from sizes alone.

Shape legend: B batch, C channels, O output channels, H W input, P Q output, K L kernel.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref._precision import autocast, in_single
from dlref.convnets._correlation import correlate, largest
from dlref.convnets._pooling import Window
from dlref.convnets._windows import (
    Geometry,
    also_unbatched,
    check_kernels,
    images,
    padding_of,
    pair,
)

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "MaxPool2d",
    "avg_pool2d",
    "conv2d",
    "max_pool2d",
    "output_size",
    "receptive_field",
    "toeplitz",
]


def output_size(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    r"""Number of positions of a window along one axis.

    .. math:: \left\lfloor \frac{n + 2p - d(k-1) - 1}{s} \right\rfloor + 1

    Args:
        size: pixels of the image along the axis, :math:`n`.
        kernel_size: taps of the kernel, :math:`k`.
        stride: pixels between neighbouring positions, :math:`s`.
        padding: pixels added at each end, :math:`p`.
        dilation: pixels between neighbouring taps, :math:`d`.

    Raises:
        TypeError: if one of them is not an integer.
        ValueError: if one is too small, or the window does not fit.

    Source:
        Dumoulin & Visin (2016), arXiv:1603.07285, relationship 15.

    Example:
        >>> output_size(7, 3, stride=2, padding=1)
        4
    """
    n = _check.integer("size", size, 1)
    k = _check.integer("kernel_size", kernel_size, 1)
    s, p = _check.integer("stride", stride, 1), _check.integer("padding", padding, 0)
    span = _check.integer("dilation", dilation, 1) * (k - 1) + 1
    if span > n + 2 * p:
        raise ValueError(
            f"kernel_size {k} with dilation {dilation} spans {span} pixels, the padded "
            f"image has {n + 2 * p}"
        )
    return (n + 2 * p - span) // s + 1


@torch.fx.wrap
@also_unbatched
def conv2d(
    x: Float[Tensor, "*B C H W"],
    weight: Float[Tensor, "O Cg K L"],
    bias: Float[Tensor, " O"] | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Float[Tensor, "*B O P Q"]:
    r"""Convolve images with kernels.

    As everywhere in deep learning, without turning the kernels.

    .. math:: y_{b,o,p,q} = \beta_o + \sum_{c,k,l} w_{o,c,k,l}\, x_{b,\,c,\,sp + dk -
        r,\,sq + dl - r}

    with stride :math:`s`, dilation :math:`d`, and zeros outside the image up to the
    padding :math:`r`. With groups, the channels are dealt out: the first ``O / groups``
    outputs see the first ``C / groups`` inputs, and so on.

    Args:
        x: images, channels first, or one image by itself.
        weight: one kernel an output channel; ``Cg`` is ``C / groups``.
        bias: added to all positions of its output channel.
        stride: pixels between positions; one number, or (vertical, horizontal), as for
            the next two.
        padding: zeros on each side; ``"valid"`` for none, ``"same"`` for as many as
            keep the size (stride 1; where their number is odd, the one more is at the
            bottom and on the right).
        dilation: pixels between the taps of a kernel.
        groups: into how many parts the channels are dealt; ``C`` makes a depthwise
            convolution.

    Raises:
        TypeError, ValueError: if a shape, type or size does not fit; the message names
            the argument.

    Source:
        Dumoulin & Visin (2016), arXiv:1603.07285. The signature is torch's.

    Example:
        >>> conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
        tensor([[[[4., 4.],
                  [4., 4.]]]])
    """
    x, weight, bias = autocast(x, weight, bias)
    C, (O, Cg, *kernel) = (
        images(x).shape[1],
        _check.tensor("weight", weight, "O Cg K L").shape,
    )
    if C % _check.integer("groups", groups, 1) or O % groups or Cg != C // groups:
        raise ValueError(
            f"weight must have shape (multiple of groups, C / groups, K, L) for {C} "
            f"channels in {groups} groups, got {tuple(weight.shape)}"
        )
    if weight.dtype != x.dtype:
        raise TypeError(f"weight must be of x's type {x.dtype}, got {weight.dtype}")
    if bias is not None:
        _check.tensor("bias", bias, "O", O=O)
    steps, gaps = pair("stride", stride, 1), pair("dilation", dilation, 1)
    left, right, top, bottom = padding_of(padding, kernel, steps, gaps)
    P = output_size(x.shape[2] + top + bottom, kernel[0], steps[0], 0, gaps[0])
    Q = output_size(x.shape[3] + left + right, kernel[1], steps[1], 0, gaps[1])
    geometry = Geometry(steps, gaps, (top, left), groups)

    def maps(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = correlate(x, weight, size=(P, Q), geometry=geometry)
        return y if bias is None else y + bias[:, None, None]

    return in_single(maps, x, weight, bias)


class Conv2d(nn.Conv2d):
    """Layer of :func:`conv2d`.

    Weights go to and fro between it and ``torch.nn.Conv2d``, whose attributes it has.

    Args:
        in_channels: channels of the images.
        out_channels: kernels.
        kernel_size: taps, one number or (vertical, horizontal).
        stride, padding, dilation, groups: see :func:`conv2d`.
        bias: whether each output channel has one.
        padding_mode: ``"zeros"``; torch's other ways to go on beyond the edge are
            refused.
        device, dtype: of the weights.

    Raises:
        TypeError, ValueError: if a size is none, or the channels are no multiples of
            ``groups``.

    Source:
        LeCun et al. (1989), Neural Computation 1(4). Weights begin as torch's do,
        see :func:`dlref.training.initialization.default_bound_`.

    Example:
        >>> Conv2d(3, 10, 3)(torch.zeros(2, 3, 6, 6)).shape
        torch.Size([2, 10, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_kernels(
            in_channels, out_channels, groups, padding_mode,
            kernel_size=kernel_size, stride=stride, dilation=dilation,
        )  # fmt: skip
        steps, gaps = pair("stride", stride, 1), pair("dilation", dilation, 1)
        kernel = pair("kernel_size", kernel_size, 1)
        padding_of(padding, kernel, steps, gaps)
        around = padding if isinstance(padding, str) else pair("padding", padding, 0)
        super().__init__(
            in_channels, out_channels, kernel, steps, around, gaps, groups, bias,
            "zeros", device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name in torch
        """Maps of the images."""
        settings = self.stride, self.padding, self.dilation, self.groups
        return conv2d(input, self.weight, self.bias, *settings)


@torch.fx.wrap
@also_unbatched
def max_pool2d(
    x: Float[Tensor, "*B C H W"],
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    ceil_mode: bool = False,
) -> Float[Tensor, "*B C P Q"]:
    r"""Largest number of each window.

    .. math:: y_{b,c,p,q} = \max_{k,l}\, x_{b,\,c,\,sp + dk - r,\,sq + dl - r}

    Args:
        x: images or maps; the gradient goes to the first (by rows) of several that are
            largest.
        kernel_size: of the windows, one number or (vertical, horizontal), as for all
            that follow.
        stride: between windows; None for the size of the windows.
        padding: minus infinity on each side, at most half a window.
        dilation: between the pixels of a window.
        ceil_mode: whether a window that begins on the padded image and ends beyond it
            counts; what it sees there is minus infinity.

    Raises:
        TypeError, ValueError: if a shape or size does not fit; the message names the
            argument.

    Source:
        Ranzato, Huang, Boureau & LeCun (2007), CVPR. The signature is torch's, without
        ``return_indices``.

    Example:
        >>> max_pool2d(torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[3.]]]])
    """
    window = Window.of(
        output_size, x, kernel_size, stride, padding, dilation, ceil_mode
    )
    geometry = Geometry(window.stride, window.dilation, window.padding)
    return largest(x, kernel=window.kernel, size=window.size, geometry=geometry)


@torch.fx.wrap
@also_unbatched
def avg_pool2d(
    x: Float[Tensor, "*B C H W"],
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Float[Tensor, "*B C P Q"]:
    r"""Mean of each window.

    A depthwise convolution whose kernels are all ones, divided by the numbers that a
    window holds.

    Args:
        x: images or maps.
        kernel_size: of the windows, one number or (vertical, horizontal), as for all
            that follow.
        stride: between windows; None for the size of the windows.
        padding: zeros on each side, at most half a window.
        ceil_mode: whether a window that begins on the padded image and ends beyond it
            counts; its mean is that of its part on the padded image.
        count_include_pad: whether the zeros of the padding count in the mean.
        divisor_override: what the sums are divided by instead.

    Raises:
        TypeError, ValueError: if a shape or size does not fit; the message names the
            argument.

    Source:
        LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11), section II.B. The
        signature is torch's.

    Example:
        >>> avg_pool2d(torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[1.5000]]]])
    """
    window = Window.of(output_size, x, kernel_size, stride, padding, 1, ceil_mode)
    geometry = Geometry(window.stride, (1, 1), window.padding, x.shape[1])
    rows, columns = window.counts(x, count_include_pad)
    counts = rows[:, None] * columns
    if divisor_override is not None:
        counts = counts * 0 + _check.integer("divisor_override", divisor_override, 1)

    def means(x: Tensor) -> Tensor:
        ones = x.new_ones(x.shape[1], 1, *window.kernel)
        sums = correlate(x, ones, size=window.size, geometry=geometry)
        return sums / counts.to(x)

    return in_single(means, x)


class MaxPool2d(nn.MaxPool2d):
    """Layer of :func:`max_pool2d`.

    Args:
        kernel_size, stride, padding, dilation, ceil_mode: see :func:`max_pool2d`.
        return_indices: stands where torch has it, and is refused.

    Raises:
        TypeError, ValueError: if the indices are asked for; in use, as
            :func:`max_pool2d`.

    Source:
        See :func:`max_pool2d`.

    Example:
        >>> MaxPool2d(2)(torch.zeros(1, 3, 6, 6)).shape
        torch.Size([1, 3, 3, 3])
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        _check.one_of("return_indices", return_indices, [False])
        super().__init__(kernel_size, stride, padding, dilation, False, ceil_mode)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name in torch
        """The largest number of each window."""
        lie = self.stride, self.padding, self.dilation
        return max_pool2d(input, self.kernel_size, *lie, self.ceil_mode)  # type: ignore[arg-type]


class AvgPool2d(nn.AvgPool2d):
    """Layer of :func:`avg_pool2d`.

    Args:
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override:
            see :func:`avg_pool2d`.

    Raises:
        TypeError, ValueError: in use, as :func:`avg_pool2d`.

    Source:
        See :func:`avg_pool2d`.

    Example:
        >>> AvgPool2d(2)(torch.zeros(1, 3, 6, 6)).shape
        torch.Size([1, 3, 3, 3])
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name in torch
        """The mean of each window."""
        how = self.ceil_mode, self.count_include_pad, self.divisor_override
        return avg_pool2d(input, self.kernel_size, self.stride, self.padding, *how)  # type: ignore[arg-type]


def receptive_field(layers: Sequence[tuple[int, int, int]]) -> list[int]:
    r"""Pixels of the input, along one axis, that one unit sees after each layer.

    .. math:: r_n = r_{n-1} + d_n (k_n - 1) \prod_{i<n} s_i, \qquad r_0 = 1

    Args:
        layers: (kernel size, stride, dilation) of each convolution or pooling, in
            order.

    Raises:
        TypeError, ValueError: if a layer is not three whole numbers above zero.

    Source:
        Araujo, Norris & Sim (2019), Distill, doi:10.23915/distill.00021, equation 2.

    Example:
        >>> receptive_field([(3, 1, 1), (2, 2, 1), (3, 1, 1)])
        [3, 4, 8]
    """
    seen, jump, found = 1, 1, []
    for layer in layers:
        if len(layer) != 3:
            raise ValueError(
                "layers must hold (kernel size, stride, dilation), got "
                f"{_check.describe(layer)}"
            )
        k, s, d = (_check.integer("layers", number, 1) for number in layer)
        seen += d * (k - 1) * jump
        jump *= s
        found.append(seen)
    return found


def toeplitz(
    weight: Float[Tensor, "O C K L"],
    size: tuple[int, int],
    stride: int | tuple[int, int] = 1,
) -> Float[Tensor, "OPQ CHW"]:
    r"""The matrix that a convolution without padding is.

    ``toeplitz(w, (H, W)) @ x.flatten()``.

    .. math:: T_{(o,p,q),(c,i,j)} = w_{o,\,c,\,i - sp,\,j - sq}

    Args:
        weight: one kernel an output channel; zero where it has no such tap.
        size: height and width of the image.
        stride: pixels between positions, one number or (vertical, horizontal).

    Raises:
        TypeError, ValueError: if a shape or size does not fit.

    Source:
        Dumoulin & Visin (2016), arXiv:1603.07285, section 4.1.

    Example:
        >>> toeplitz(torch.tensor([[[[1.0, 2.0]]]]), (1, 3))
        tensor([[1., 2., 0.],
                [0., 1., 2.]])
    """
    O, C, K, L = _check.tensor("weight", weight, "O C K L").shape
    (H, W), (vertical, horizontal) = pair("size", size, 1), pair("stride", stride, 1)
    P, Q = output_size(H, K, vertical), output_size(W, L, horizontal)
    T = weight.new_zeros(O, P, Q, C, H, W)
    for p, q in product(range(P), range(Q)):
        i, j = p * vertical, q * horizontal
        T[:, p, q, :, i : i + K, j : j + L] = weight
    return T.view(O * P * Q, C * H * W)
