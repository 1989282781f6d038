"""Batch normalisation.

Forward, backward by hand, and what is kept for the time after training.

Shape legend: B examples in a batch, C features or channels, H W height and width.
"""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref._precision import in_single
from dlref._shortcut import shortcut
from dlref.training import _normalization
from dlref.training._normalization import of_channel

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
    _with_channels(x)
    axes = [0, *range(2, x.ndim)]
    mean = x.mean(axes)
    return mean, (x - of_channel(mean, x)).square().mean(axes)


def _with_channels(x: Tensor) -> Tensor:
    _check.tensor("x", x, "...", empty=True)
    if x.ndim < 2:
        raise ValueError(f"x must have shape (B, C, ...), got {_check.describe(x)}")
    return x


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
        eps: added to the variance, at least 0.

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
    eps = _check.real("eps", eps, "[0, inf)")
    return in_single(_by_batch, _with_channels(x), weight, bias, eps=eps)[0]


def _by_batch(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised values, and the mean and variance that they were found with."""
    channels = x.shape[1]
    if x.numel() == channels:
        raise ValueError(
            "x must have more than one value a channel in training, got "
            f"{_check.describe(x)}"
        )
    compiled = torch.compiler.is_compiling()
    mean, variance = (batch_moments if compiled else _normalization.moments)(x.detach())
    gamma, beta = _like("weight", weight, mean, 1.0), _like("bias", bias, mean, 0.0)
    return _normalized(x, gamma, beta, mean, variance, eps=eps), mean, variance


def _definition(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    eps: float,
) -> Tensor:
    """Deviations over the root of the variance, scaled and shifted.

    ``mean`` and ``variance`` are those of ``x``, for who need not find them anew.
    """
    mean, variance = (of_channel(moment, x) for moment in batch_moments(x))
    normal = (x - mean) / (variance + eps).sqrt()
    return normal * of_channel(weight, x) + of_channel(bias, x)


_normalized = shortcut(_definition, _normalization.forward, _normalization.backward)


def _by_running(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    *,
    eps: float,
) -> Tensor:
    scale = (variance + eps).rsqrt()
    scale = scale if weight is None else weight * scale
    shift = -mean * scale if bias is None else bias - mean * scale
    return torch.addcmul(of_channel(shift, x), x, of_channel(scale, x))


def _like(name: str, values: Tensor | None, mean: Tensor, usual: float) -> Tensor:
    if values is None:
        return torch.full_like(mean, usual)
    _check.tensor(name, values, "C", C=len(mean))
    if values.dtype != mean.dtype:
        raise TypeError(f"{name} must be of x's type {mean.dtype}, got {values.dtype}")
    return values


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Parameters, statistics and states are torch's: its tools know the layer."""

    _axes: ClassVar[tuple[int, ...]] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        _check.integer("num_features", num_features, 1)
        eps = _check.real("eps", eps, "[0, inf)")
        if momentum is not None:
            momentum = _check.real("momentum", momentum, "[0, 1]")
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name in torch
        """By the batch's statistics in training, by the running ones in evaluation.

        If they are kept.
        """
        statistics = self.running_mean, self.running_var, self.num_batches_tracked
        kept = not self.training or self.track_running_stats
        return _batch_norm(
            input,
            self._axes,
            self.num_features,
            self.weight,
            self.bias,
            *statistics if kept else (None, None, None),
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )


@torch.fx.wrap
def _batch_norm(
    x: Tensor,
    axes: tuple[int, ...],
    channels: int,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    count: Tensor | None,
    *,
    training: bool,
    momentum: float | None,
    eps: float,
) -> Tensor:
    _check.tensor("x", x, "...", empty=True)
    if x.ndim not in axes or x.shape[1] != channels:
        raise ValueError(
            f"x must have {' or '.join(map(str, axes))} axes and {channels} channels, "
            f"got {_check.describe(x)}"
        )
    if not training and running_mean is not None and running_var is not None:
        running = running_mean, running_var
        return in_single(_by_running, x, weight, bias, *running, eps=eps)
    y, mean, variance = in_single(_by_batch, x, weight, bias, eps=eps)
    if training and count is not None:
        count.add_(1)
    if training and running_mean is not None and running_var is not None and len(x):
        unbiased = variance * (x.numel() / (x.numel() - channels))  # of samples
        share: Any = momentum
        if share is None:
            share = 0.0 if count is None else 1 / count.to(mean)  # stays on the device
        _track(running_mean, mean, share)
        _track(running_var, unbiased, share)
    return y


@torch.no_grad()
def _track(running: Tensor, new: Tensor, share: Any) -> None:
    running.copy_(torch.lerp(running.to(new), new, share))


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features, (B, C), or of sequences, (B, C, L).

    Args:
        num_features: C.
        eps: added to the variance, at least 0.
        momentum: share that each batch has in the running statistics, in [0, 1];
            ``None`` for the plain mean of all batches. (What optimisers call momentum
            is one minus this.)
        affine: learn a scale and a shift for each channel.
        track_running_stats: keep statistics for evaluation; otherwise each batch is
            always its own judge.
        device, dtype: of parameters and statistics.

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
        eps: added to the variance, at least 0.
        momentum: share that each batch has in the running statistics, in [0, 1];
            ``None`` for the plain mean.
        affine: learn a scale and a shift for each channel.
        track_running_stats: keep statistics for evaluation.
        device, dtype: of parameters and statistics.

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
