"""Initialisation: random weights whose layers neither fade nor grow.

Shape legend: O outputs, I inputs of a layer, K axes of a kernel.
"""

import math

import torch
from torch import Tensor, nn

from dlref import _check

__all__ = [
    "calculate_gain",
    "default_bound_",
    "fan_in_and_fan_out",
    "kaiming_normal_",
    "kaiming_uniform_",
    "signal_spread",
    "xavier_normal_",
    "xavier_uniform_",
]

_GAINS: dict[str, float] = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Connections that come into a unit of a layer, and that leave one.

    Args:
        tensor: (O, I) weights of a dense layer, or (O, I, K...) kernels; each place of
            a kernel counts.

    Raises:
        TypeError, ValueError: if it is no tensor, or has less than two axes.

    Source:
        Glorot & Bengio (2010), AISTATS; for kernels He et al. (2015), arXiv:1502.01852,
        section 2.2.

    Example:
        >>> fan_in_and_fan_out(torch.empty(64, 32, 3, 3))
        (288, 576)
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(
            "tensor must be a torch.Tensor of two axes or more, got "
            f"{_check.describe(tensor)}"
        )
    if tensor.ndim < 2:
        raise ValueError(
            f"tensor must have two axes or more, got {_check.describe(tensor)}"
        )
    places = math.prod(tensor.shape[2:])
    return tensor.shape[1] * places, tensor.shape[0] * places


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""What an activation asks the deviation of the weights to be multiplied by.

    So that the signal keeps its size.

    Args:
        nonlinearity: ``"linear"``, ``"sigmoid"``, ``"tanh"``, ``"relu"``,
            ``"leaky_relu"`` or ``"selu"``.
        param: slope s of the leaky rectifier, by default 0.01; its gain is
            :math:`\sqrt{2 / (1 + s^2)}`.

    Raises:
        TypeError, ValueError: if there is no such activation, or ``param`` is not
            finite.

    Source:
        He et al. (2015), arXiv:1502.01852, for rectifiers; the values for sigmoid, tanh
        and SELU are PyTorch's.

    Example:
        >>> calculate_gain("relu") ** 2
        2.0000000000000004
    """
    _check.one_of("nonlinearity", nonlinearity, [*_GAINS, "leaky_relu"])
    if nonlinearity == "leaky_relu":
        return math.sqrt(
            2 / (1 + _check.real("param", 0.01 if param is None else param) ** 2)
        )
    return _GAINS[nonlinearity]


def _uniform(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    bound = math.sqrt(3) * std
    with torch.no_grad():
        return tensor.uniform_(-bound, bound, generator=generator)


def _normal(tensor: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    with torch.no_grad():
        return tensor.normal_(0, std, generator=generator)


def _xavier(tensor: Tensor, gain: float) -> float:
    return _check.real("gain", gain, "(0, inf)") * math.sqrt(
        2 / sum(fan_in_and_fan_out(tensor))
    )


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), fan_in_and_fan_out(tensor), strict=True))
    return calculate_gain(nonlinearity, a) / math.sqrt(
        fans[_check.one_of("mode", mode, ["fan_in", "fan_out"])]
    )


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    r"""Fill weights evenly so that signals keep their variance on average.

    On average over the way forwards and the way backwards.

    .. math:: U(-b, b), \quad b = \text{gain} \sqrt{\frac{6}{n_{\text{in}} +
        n_{\text{out}}}}

    Args:
        tensor: weights, filled in place; see :func:`fan_in_and_fan_out`.
        gain: see :func:`calculate_gain`.
        generator: of the draws.

    Raises:
        TypeError, ValueError: if ``tensor`` has less than two axes, or ``gain`` is not
            above 0.

    Source:
        Glorot & Bengio (2010), AISTATS, equation 16.

    Example:
        >>> bool(xavier_uniform_(torch.empty(200, 100)).abs().max() <= (6 / 300) ** 0.5)
        True
    """
    return _uniform(tensor, _xavier(tensor, gain), generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    r"""The same with normal weights.

    :math:`N(0, \text{gain}^2 \cdot 2 / (n_{\text{in}} + n_{\text{out}}))`.

    Args:
        tensor: weights, filled in place.
        gain: see :func:`calculate_gain`.
        generator: of the draws.

    Raises:
        TypeError, ValueError: if ``tensor`` has less than two axes, or ``gain`` is not
            above 0.

    Source:
        Glorot & Bengio (2010), AISTATS, equation 12.

    Example:
        >>> bool(0.09 < xavier_normal_(torch.empty(100, 100)).std() < 0.11)
        True
    """
    return _normal(tensor, _xavier(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Fill weights evenly so that signals keep their variance through rectifiers.

    .. math:: U(-b, b), \quad b = \text{gain} \sqrt{\frac{3}{n}}

    Args:
        tensor: weights, filled in place.
        a: slope of a leaky rectifier, 0 for a plain one.
        mode: ``"fan_in"`` keeps the variance forwards, ``"fan_out"`` backwards.
        nonlinearity: see :func:`calculate_gain`.
        generator: of the draws.

    Raises:
        TypeError, ValueError: if ``tensor`` has less than two axes, or there is no such
            mode or activation.

    Source:
        He et al. (2015), arXiv:1502.01852.

    Example:
        >>> bool(kaiming_uniform_(torch.empty(50, 100)).abs().max() <= (6 / 100) ** 0.5)
        True
    """
    return _uniform(tensor, _kaiming(tensor, a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""The same with normal weights, :math:`N(0, \text{gain}^2 / n)`.

    Args:
        tensor: weights, filled in place.
        a: slope of a leaky rectifier, 0 for a plain one.
        mode: ``"fan_in"`` keeps the variance forwards, ``"fan_out"`` backwards.
        nonlinearity: see :func:`calculate_gain`.
        generator: of the draws.

    Raises:
        TypeError, ValueError: if ``tensor`` has less than two axes, or there is no such
            mode or activation.

    Source:
        He et al. (2015), arXiv:1502.01852, equation 10.

    Example:
        >>> bool(0.13 < kaiming_normal_(torch.empty(100, 100)).std() < 0.15)
        True
    """
    return _normal(tensor, _kaiming(tensor, a, mode, nonlinearity), generator)


def default_bound_(tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
    r"""What ``torch.nn.Linear`` and the convolutions of ``torch.nn`` begin with.

    .. math:: U\!\left(-\frac{1}{\sqrt{n_{\text{in}}}},
        \frac{1}{\sqrt{n_{\text{in}}}}\right), \quad \text{variance } \frac{1}{3\,
        n_{\text{in}}}

    Args:
        tensor: weights, filled in place.
        generator: of the draws.

    Raises:
        TypeError, ValueError: if ``tensor`` has less than two axes.

    Source:
        PyTorch's ``kaiming_uniform_`` with :math:`a = \sqrt 5`, which has no derivation
        of its own; the range is that of LeCun et al. (1998), "Efficient backprop", with
        a third of its variance.

    Example:
        >>> bool(default_bound_(torch.empty(50, 100)).abs().max() <= 0.1)
        True
    """
    return kaiming_uniform_(tensor, math.sqrt(5), generator=generator)


def signal_spread(
    model: nn.Sequential, x: Tensor, kinds: type | tuple[type, ...] = nn.Linear
) -> list[float]:
    """Standard deviation of each such layer's output, over units and examples.

    Args:
        model: layers in a row.
        x: a batch of inputs.
        kinds: which layers' outputs to look at.

    Raises:
        TypeError: if ``model`` is no ``nn.Sequential``.

    Source:
        Glorot & Bengio (2010), AISTATS, section 4.2.

    Example:
        >>> len(
        ...     signal_spread(
        ...         nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)),
        ...         torch.randn(8, 4),
        ...     )
        ... )
        2
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(
            f"model must be a torch.nn.Sequential, got {_check.describe(model)}"
        )
    spreads = []
    with torch.no_grad():
        for layer in model:
            x = layer(x)
            if isinstance(layer, kinds):
                spreads.append(x.std().item())
    return spreads
