"""Activations: leaky and exponential units, and which units have stopped learning.

Shape legend: B examples in a batch, C channels, N inputs, O outputs.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref._precision import autocast, in_single

__all__ = [
    "ELU",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Slopes",
    "collapse",
    "elu",
    "leaky_relu",
    "relu",
    "slopes",
]


@torch.fx.wrap
def relu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Rectified linear unit, :math:`\max(0, x)`.

    Its derivative at zero is taken to be zero.

    Args:
        x: scores.

    Raises:
        TypeError: if ``x`` is no tensor of floating-point numbers.

    Source:
        Nair & Hinton (2010), ICML.

    Example:
        >>> relu(torch.tensor([-2.0, 0.0, 3.0]))
        tensor([0., 0., 3.])
    """
    _check.tensor("x", x, "...", empty=True)
    return torch.where(x <= 0, 0.0, x)  # what is no number stays none


@torch.fx.wrap
def leaky_relu(
    x: Float[Tensor, "*shape"], negative_slope: float = 0.01
) -> Float[Tensor, "*shape"]:
    r"""A rectifier that leaks: x above zero, ``negative_slope`` times x below.

    Args:
        x: scores.
        negative_slope: derivative below zero, and at it.

    Raises:
        TypeError, ValueError: if ``x`` is no tensor of floating-point numbers, or the
            slope not finite.

    Source:
        Maas, Hannun & Ng (2013), ICML workshop.

    Example:
        >>> leaky_relu(torch.tensor([-2.0, 3.0]), 0.1)
        tensor([-0.2000,  3.0000])
    """
    _check.tensor("x", x, "...", empty=True)
    return torch.where(x > 0, x, _check.real("negative_slope", negative_slope) * x)


@torch.fx.wrap
def elu(x: Float[Tensor, "*shape"], alpha: float = 1.0) -> Float[Tensor, "*shape"]:
    r"""Exponential linear unit: x above zero, :math:`\alpha (e^x - 1)` below.

    Args:
        x: scores.
        alpha: minus the value that it tends to on the left.

    Raises:
        TypeError, ValueError: if ``x`` is no tensor of floating-point numbers, or
            ``alpha`` not finite.

    Source:
        Clevert, Unterthiner & Hochreiter (2016), arXiv:1511.07289.

    Example:
        >>> elu(torch.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """
    _check.tensor("x", x, "...", empty=True)
    return in_single(_elu, x, alpha=_check.real("alpha", alpha))


def _elu(x: Tensor, *, alpha: float) -> Tensor:
    z = x.clamp(max=0)  # or a large x gives an infinite gradient times zero
    # far down the derivative of expm1, which is itself plus one, would cancel
    below = torch.where(z > -1, z.expm1(), z.exp() - 1)
    return torch.where(x > 0, x, alpha * below)


class _Activation(nn.Module):
    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Apply the function; ``inplace`` writes the result over the input."""
        if self.inplace:  # the derivative needs what x was
            return x.copy_(self._function(x.clone()))
        return self._function(x)

    def _function(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        shown = [f"{name}={value}" for name, value in self._settings.items()]
        return ", ".join(shown + ["inplace=True"] * self.inplace)

    @property
    def _settings(self) -> dict[str, float]:
        return {}

    inplace: bool


class ReLU(_Activation):
    """:func:`relu` as a layer.

    Args:
        inplace: write the result over the input.

    Source:
        Nair & Hinton (2010), ICML.

    Example:
        >>> ReLU()(torch.tensor([-1.0, 1.0]))
        tensor([0., 1.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def _function(self, x: Tensor) -> Tensor:
        return relu(x)


class LeakyReLU(_Activation):
    """:func:`leaky_relu` as a layer.

    Args:
        negative_slope: derivative below zero.
        inplace: write the result over the input.

    Raises:
        TypeError, ValueError: if the slope is not a finite number.

    Source:
        Maas, Hannun & Ng (2013), ICML workshop.

    Example:
        >>> LeakyReLU(0.1)(torch.tensor([-1.0, 1.0]))
        tensor([-0.1000,  1.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = _check.real("negative_slope", negative_slope)
        self.inplace = inplace

    @property
    def _settings(self) -> dict[str, float]:
        return {"negative_slope": self.negative_slope}

    def _function(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)


class PReLU(nn.Module):
    """A leaky rectifier that learns its slope.

    Args:
        num_parameters: one slope for all, or one for each channel.
        init: the slope to begin with.
        device, dtype: of the slopes.

    Raises:
        TypeError, ValueError: if a number is out of its range; in use, if there is not
            one slope a channel.

    Source:
        He et al. (2015), arXiv:1502.01852. The parameter is named as in
        ``torch.nn.PReLU``.

    Example:
        >>> PReLU(3)(-torch.ones(2, 3)).tolist()[0]
        [-0.25, -0.25, -0.25]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_parameters = _check.integer("num_parameters", num_parameters, 1)
        self.init = _check.real("init", init)
        slopes = torch.full((num_parameters,), self.init, device=device, dtype=dtype)
        self.weight = nn.Parameter(slopes)

    def reset_parameters(self) -> None:
        """Begin anew with the first slope."""
        nn.init.constant_(self.weight, self.init)

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return f"num_parameters={self.num_parameters}, init={self.init}"

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Below zero, each channel (axis 1) has its slope."""
        return _prelu(x, self.weight)


@torch.fx.wrap
def _prelu(x: Tensor, weight: Tensor) -> Tensor:
    _check.tensor("x", x, "...", empty=True)
    if len(weight) > 1 and (x.ndim < 2 or x.shape[1] != len(weight)):
        raise ValueError(
            f"x must have {len(weight)} channels at axis 1, got {_check.describe(x)}"
        )
    x, weight = autocast(x, weight)
    slope = weight.reshape([-1] * (x.ndim > 0) + [1] * max(x.ndim - 2, 0))
    # cut off above zero, where an infinite x would give the slope 0 times infinity
    return torch.where(x > 0, x, slope * x.clamp(max=0))


class ELU(_Activation):
    """:func:`elu` as a layer.

    Args:
        alpha: minus the value that it tends to on the left.
        inplace: write the result over the input.

    Raises:
        TypeError, ValueError: if ``alpha`` is not a finite number.

    Source:
        Clevert, Unterthiner & Hochreiter (2016), arXiv:1511.07289.

    Example:
        >>> ELU(2.0)(torch.tensor([-100.0, 1.0]))
        tensor([-2.,  1.])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = _check.real("alpha", alpha)
        self.inplace = inplace

    @property
    def _settings(self) -> dict[str, float]:
        return {"alpha": self.alpha}

    def _function(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)


def collapse(layers: Sequence[nn.Linear]) -> nn.Linear:
    r"""The one linear layer that several in a row are.

    :math:`W_2 (W_1 x + b_1) + b_2 = (W_2 W_1) x + (W_2 b_1 + b_2)`.

    Args:
        layers: in the order in which they are applied, with or without biases.

    Raises:
        TypeError: if one of them is no linear layer.
        ValueError: if there are none, or the sizes of two neighbours do not fit.

    Source:
        Composition of affine maps.

    Example:
        >>> collapse([nn.Linear(3, 100), nn.Linear(100, 2)])
        Linear(in_features=3, out_features=2, bias=True)
    """
    if not layers:
        raise ValueError("layers must hold at least one linear layer, got none")
    for layer in layers:
        if not isinstance(layer, nn.Linear):
            raise TypeError(
                f"layers must be torch.nn.Linear, got {_check.describe(layer)}"
            )
    for before, after in itertools.pairwise(layers):
        if before.out_features != after.in_features:
            sizes = f"{before.out_features} outputs for {after.in_features} inputs"
            raise ValueError(f"layers must fit each other, got {sizes}")
    W = layers[0].weight.detach()
    b = W.new_zeros(len(W)) if layers[0].bias is None else layers[0].bias.detach()
    for layer in layers[1:]:
        W, b = layer.weight.detach() @ W, layer.weight.detach() @ b
        b = b if layer.bias is None else b + layer.bias.detach()
    one = nn.Linear(W.shape[1], W.shape[0], dtype=W.dtype, device=W.device)
    one.load_state_dict({"weight": W, "bias": b})
    return one


class Slopes(NamedTuple):
    """How much of a layer of activations passes gradients.

    Attributes:
        dead: share of units whose derivative is too small for every example.
        flat: share of all values, over units and examples, at which it is.

    Source:
        Glorot & Bengio (2010), AISTATS, section 3, for saturation by layer.

    Example:
        >>> Slopes(dead=0.0, flat=0.5).flat
        0.5
    """

    dead: float
    flat: float


_KINDS = (
    ReLU,
    LeakyReLU,
    PReLU,
    ELU,
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.Sigmoid,
    nn.Tanh,
)


def slopes(model: nn.Module, x: Tensor, *, tolerance: float = 0.0) -> dict[str, Slopes]:
    """Share of dead units and of flat places in each layer of activations of a network.

    Args:
        model: its rectifiers (all of this module and torch's), sigmoids and tanhs are
            looked at.
        x: inputs of many examples.
        tolerance: a derivative of at most this size counts as none.

    Returns:
        Name of the layer to its shares.

    Raises:
        TypeError, ValueError: if ``model`` has no such layer, or ``tolerance`` is
            negative.

    Source:
        Glorot & Bengio (2010), AISTATS, section 3.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 2), ReLU())
        >>> _ = (
        ...     net[0].weight.data.fill_(0.0),
        ...     net[0].bias.data.copy_(torch.tensor([1.0, -1.0])),
        ... )
        >>> slopes(net, torch.randn(5, 1))
        {'1': Slopes(dead=0.5, flat=0.5)}
    """
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _KINDS)
    }
    if not layers:
        raise ValueError(
            "model must have a layer of activations, got none in "
            f"{type(model).__name__}"
        )
    tolerance, found = _check.real("tolerance", tolerance, "[0, inf)"), {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            with torch.enable_grad():
                z = inputs[0].detach().clone().requires_grad_()
                y = type(layer).forward(layer, z.clone())  # it may write over its input
                (slope,) = torch.autograd.grad(y.sum(), z)
            flat = slope.abs() <= tolerance
            found[name] = Slopes(
                flat.all(0).double().mean().item(), flat.double().mean().item()
            )

        return look

    handles = [
        layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found
