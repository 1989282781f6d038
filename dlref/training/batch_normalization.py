"""Batch normalisation.

Forward, backward by hand, and what is kept for the time after training.

Shape legend: B examples in a batch, C features or channels, H W height and width.
"""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check

__all__ = ["BatchNorm1d", "BatchNorm2d", "batch_moments", "normalize"]


def batch_moments(
    x: Float[Tensor, "B C *places"],
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    r"""Mean and variance of each channel over the examples of a batch and all places.

    .. math:: \mu = \frac1m \sum_i x_i, \qquad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2

    Computed from the deviations, never as :math:`\overline{x^2} - \mu^2`: at mean 1000
    that cancels in float32.

    Args:
        x: a batch, channels on axis 1.

    Raises:
        TypeError, ValueError: if ``x`` is no tensor of floating-point numbers with two
            axes or more.

    Source:
        Ioffe & Szegedy (2015), arXiv:1502.03167, algorithm 1.

    Example:
        >>> batch_moments(torch.tensor([[1.0], [3.0]]))
        (tensor([2.]), tensor([1.]))
    """
    _check.tensor("x", x, "...")
    if x.ndim < 2:
        raise ValueError(f"x must have shape (B, C, ...), got {_check.describe(x)}")
    axes = [0, *range(2, x.ndim)]
    variance, mean = torch.var_mean(x, axes, correction=0)
    return mean, variance


class _Normalize(torch.autograd.Function):
    """Forward and backward of training.

    Forward, scale and shift are folded into one multiplication and one addition.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        eps: float,
    ) -> Tensor:
        shape = (1, -1, *[1] * (x.ndim - 2))
        inverse = (variance + eps).rsqrt()
        scale = weight * inverse
        ctx.save_for_backward(x, weight, mean, inverse)
        return torch.addcmul((bias - mean * scale).view(shape), x, scale.view(shape))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (g,), (x, weight, mean, inverse) = grad_outputs, ctx.saved_tensors
        shape, axes = (1, -1, *[1] * (x.ndim - 2)), [0, *range(2, x.ndim)]
        m = x.numel() // x.shape[1]
        normal = (x - mean.view(shape)).mul_(inverse.view(shape))
        bias_grad = g.sum(axes)
        weight_grad = (g * normal).sum(axes)
        scale = (weight * inverse).view(shape)
        x_grad = (
            normal.mul_((weight_grad / -m).view(shape))
            .add_(g)
            .sub_((bias_grad / m).view(shape))
            .mul_(scale)
        )
        return x_grad, weight_grad, bias_grad, None, None, None


def normalize(
    x: Float[Tensor, "B C *places"],
    weight: Float[Tensor, " C"] | None = None,
    bias: Float[Tensor, " C"] | None = None,
    *,
    eps: float = 1e-5,
) -> Float[Tensor, "B C *places"]:
    r"""Normalise each channel by the batch's mean and variance, scale and shift.

    .. math:: \hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad y = \gamma
        \hat x + \beta, \qquad \bar x = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}
        \left(\bar y - \frac1m \sum_i \bar y_i - \frac{\hat x}{m} \sum_i \bar y_i \hat
        x_i\right)

    Args:
        x: a batch, channels on axis 1, more than one value a channel.
        weight: gamma, by default ones.
        bias: beta, by default zeros.
        eps: added to the variance, above 0.

    Raises:
        TypeError, ValueError: if the shapes do not belong together, or there is one
            value a channel only.

    Source:
        Ioffe & Szegedy (2015), arXiv:1502.03167, algorithm 1 and section 3.

    Example:
        >>> normalize(torch.tensor([[1.0], [3.0]])).round()
        tensor([[-1.],
                [ 1.]])
    """
    mean, variance = batch_moments(x.detach() if isinstance(x, Tensor) else x)
    return _normalized(
        x, weight, bias, mean, variance, _check.real("eps", eps, "(0, inf)")
    )


def _normalized(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
) -> Tensor:
    channels = len(mean)
    if x.numel() == channels:
        raise ValueError(
            "x must have more than one value a channel in training, got "
            f"{_check.describe(x)}"
        )
    gamma = (
        torch.ones_like(mean)
        if weight is None
        else _check.tensor("weight", weight, "C", C=channels)
    )
    beta = (
        torch.zeros_like(mean)
        if bias is None
        else _check.tensor("bias", bias, "C", C=channels)
    )
    return _Normalize.apply(x, gamma, beta, mean, variance, eps)  # pyright: ignore[reportReturnType]  apply is not typed


class _BatchNorm(nn.Module):
    _axes: ClassVar[tuple[int, ...]] = ()
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = _check.integer("num_features", num_features, 1)
        self.eps = _check.real("eps", eps, "(0, inf)")
        self.momentum = (
            None if momentum is None else _check.real("momentum", momentum, "[0, 1]")
        )
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer(
            "running_mean", torch.zeros(num_features) if track_running_stats else None
        )
        self.register_buffer(
            "running_var", torch.ones(num_features) if track_running_stats else None
        )
        self.register_buffer(
            "num_batches_tracked", torch.tensor(0) if track_running_stats else None
        )

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        flags = f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, {flags}"

    @torch.no_grad()
    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1, none tracked."""
        if (
            self.running_mean is not None
            and self.running_var is not None
            and self.num_batches_tracked is not None
        ):
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def forward(self, x: Float[Tensor, "B C *places"]) -> Float[Tensor, "B C *places"]:
        """By the batch's statistics in training, by the running ones in evaluation.

        If they are kept.
        """
        _check.tensor("x", x, "...")
        if x.ndim not in self._axes or x.shape[1] != self.num_features:
            axes = " or ".join(map(str, self._axes))
            raise ValueError(
                f"x must have {axes} axes and {self.num_features} channels, got "
                f"{_check.describe(x)}"
            )
        if self.training or self.running_mean is None or self.running_var is None:
            mean, variance = batch_moments(x.detach())
            y = _normalized(x, self.weight, self.bias, mean, variance, self.eps)
            if self.training:
                self._track(mean, variance, x.numel() // self.num_features)
            return y
        shape = (1, -1, *[1] * (x.ndim - 2))
        inverse = (self.running_var + self.eps).rsqrt()
        scale = inverse if self.weight is None else self.weight * inverse
        shift = (
            -self.running_mean * scale
            if self.bias is None
            else self.bias - self.running_mean * scale
        )
        return torch.addcmul(shift.view(shape), x, scale.view(shape))

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, m: int) -> None:
        if (
            self.running_mean is None
            or self.running_var is None
            or self.num_batches_tracked is None
        ):
            return
        self.num_batches_tracked.add_(1)
        share = (
            1 / self.num_batches_tracked.item()
            if self.momentum is None
            else self.momentum
        )
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(
            (variance * (m / (m - 1))).to(self.running_var.dtype), share
        )  # of samples, unbiased


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features, (B, C), or of sequences, (B, C, L).

    Args:
        num_features: C.
        eps: added to the variance, above 0.
        momentum: share that each batch has in the running statistics, in [0, 1];
            ``None`` for the plain mean of all batches. (What optimisers call momentum
            is one minus this.)
        affine: learn a scale and a shift for each channel.
        track_running_stats: keep statistics for evaluation; otherwise each batch is
            always its own judge.

    Raises:
        TypeError, ValueError: if a number is out of its range; in use, if the shape
            does not fit, or a channel has one value only in training.

    Source:
        Ioffe & Szegedy (2015), arXiv:1502.03167. State and arguments are those of
        ``torch.nn.BatchNorm1d``.

    Example:
        >>> layer = BatchNorm1d(3)
        >>> y = layer(5 + torch.randn(100, 3))
        >>> bool(y.mean().abs() < 1e-5), layer.eval()(torch.zeros(1, 3)).shape
        (True, torch.Size([1, 3]))
    """

    _axes: ClassVar[tuple[int, ...]] = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of pictures, (B, C, H, W).

    One mean and one variance a channel, over examples and places.

    Args:
        num_features: C.
        eps: added to the variance, above 0.
        momentum: share that each batch has in the running statistics, in [0, 1];
            ``None`` for the plain mean.
        affine: learn a scale and a shift for each channel.
        track_running_stats: keep statistics for evaluation.

    Raises:
        TypeError, ValueError: if a number is out of its range; in use, if the shape
            does not fit, or a channel has one value only in training.

    Source:
        Ioffe & Szegedy (2015), arXiv:1502.03167, section 3.2. State and arguments are
        those of ``torch.nn.BatchNorm2d``.

    Example:
        >>> sum(p.numel() for p in BatchNorm2d(64).parameters())
        128
    """

    _axes: ClassVar[tuple[int, ...]] = (4,)
