"""Penalties on weights.

L2, L1 with the step that makes zeros, and weights that several connections share.

Shape legend: B examples in a batch, N inputs, H hidden units.
"""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import ParamsT

from dlref import _check
from dlref.optimization import SGD

__all__ = [
    "ProximalSGD",
    "TiedAutoencoder",
    "decay_groups",
    "l1_penalty",
    "l2_penalty",
    "soft_threshold",
]


def l2_penalty(parameters: Iterable[Tensor], weight_decay: float) -> Float[Tensor, ""]:
    r"""Half the sum of squares of all weights, times a strength.

    Its gradient is ``weight_decay`` times the weights.

    .. math:: \frac{\lambda}{2} \sum_i w_i^2

    Args:
        parameters: at least one tensor.
        weight_decay: lambda, at least 0; named as the argument of ``torch.optim`` that
            has the same gradient.

    Raises:
        TypeError, ValueError: if there are no parameters, or ``weight_decay`` is
            negative.

    Source:
        Hoerl & Kennard (1970), Technometrics 12; Krogh & Hertz (1991), NIPS, for
        networks.

    Example:
        >>> l2_penalty([torch.tensor([3.0, 4.0])], 0.1)
        tensor(1.2500)
    """
    strength = _check.real("weight_decay", weight_decay, "[0, inf)")
    return (
        strength
        / 2
        * torch.stack([w.square().sum() for w in _tensors(parameters)]).sum()
    )


def l1_penalty(parameters: Iterable[Tensor], strength: float) -> Float[Tensor, ""]:
    r"""Sum of the absolute values of all weights, times a strength.

    .. math:: \lambda \sum_i |w_i|

    Args:
        parameters: at least one tensor.
        strength: lambda, at least 0.

    Raises:
        TypeError, ValueError: if there are no parameters, or ``strength`` is negative.

    Source:
        Tibshirani (1996), JRSS B 58.

    Example:
        >>> l1_penalty([torch.tensor([3.0, -4.0])], 0.1)
        tensor(0.7000)
    """
    strength = _check.real("strength", strength, "[0, inf)")
    return strength * torch.stack([w.abs().sum() for w in _tensors(parameters)]).sum()


def _tensors(parameters: Iterable[Tensor]) -> list[Tensor]:
    found = list(parameters)
    if not found:
        raise ValueError("parameters must hold at least one tensor, got none")
    return found


def soft_threshold(
    x: Float[Tensor, "*shape"], threshold: float
) -> Float[Tensor, "*shape"]:
    r"""Move towards zero by ``threshold``, and no further.

    .. math:: S_\lambda(x) = \operatorname{sign}(x) \max(|x| - \lambda,\, 0)
        = \arg\min_z \tfrac12 (z - x)^2 + \lambda |z|

    Args:
        x: any numbers.
        threshold: lambda, at least 0.

    Raises:
        TypeError, ValueError: if ``x`` is no tensor of floating-point numbers, or
            ``threshold`` is negative.

    Source:
        Donoho & Johnstone (1994), Biometrika 81.

    Example:
        >>> soft_threshold(torch.tensor([-3.0, -0.5, 0.5, 3.0]), 1.0)
        tensor([-2., -0.,  0.,  2.])
    """
    _check.tensor("x", x, "...", empty=True)
    return x.sign() * (x.abs() - _check.real("threshold", threshold, "[0, inf)")).clamp(
        min=0
    )


class ProximalSGD(SGD):
    r"""Gradient descent with an L1 penalty that is not differentiated.

    Its proximal step follows each step.

    .. math:: \theta_t = S_{\eta\lambda}(\theta_{t-1} - \eta\, g_t)

    with :func:`soft_threshold` :math:`S`. Weights reach zero exactly, and stay while
    the gradient is below lambda.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        l1: lambda, at least 0; a group may have its own, such as 0 for biases.
        weight_decay: strength of an L2 penalty beside it, at least 0.
        maximize: climb the function; the penalty pulls towards zero all the same.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Daubechies, Defrise & De Mol (2004), CPAM 57 (ISTA); with noisy gradients Duchi
        & Singer (2009), JMLR 10.

    Example:
        >>> theta = nn.Parameter(torch.tensor([1.0, 0.05]))
        >>> optimizer = ProximalSGD([theta], lr=0.1, l1=1.0)
        >>> theta.grad = torch.zeros(2)
        >>> optimizer.step()
        >>> theta.tolist()
        [0.8999999761581421, 0.0]
    """

    _intervals: ClassVar[dict[str, str]] = {**SGD._intervals, "l1": "[0, inf)"}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        l1: float = 0.0,
        *,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "l1": l1,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super(SGD, self).__init__(params, defaults)

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        super()._update(theta, g, group)
        if group["l1"]:
            theta.copy_(soft_threshold(theta, group["lr"] * group["l1"]))


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups for an optimiser.

    Matrices and kernels decay, biases and scales do not.

    Args:
        model: its parameters of two axes or more are to decay.
        weight_decay: their strength, at least 0.

    Raises:
        TypeError, ValueError: if ``model`` is no module, or ``weight_decay`` is
            negative.

    Source:
        Goyal et al. (2017), arXiv:1706.02677, section 5.3, for scales; Bishop (1995),
        section 9.2, for biases.

    Example:
        >>> [
        ...     sum(p.numel() for p in group["params"])
        ...     for group in decay_groups(nn.Linear(3, 2), 0.1)
        ... ]
        [6, 2]
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
    weight_decay = _check.real("weight_decay", weight_decay, "[0, inf)")
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


class TiedAutoencoder(nn.Module):
    r"""An autoencoder whose decoder is the transpose of its encoder.

    .. math:: h = \sigma(W x + b), \qquad \hat x = W^\top h + c

    Args:
        in_features: N, length of an input.
        hidden_features: H, length of its code.

    Raises:
        TypeError, ValueError: if a number is no integer, or below 1.

    Source:
        Vincent et al. (2010), JMLR 11, section 2.1.

    Example:
        >>> TiedAutoencoder(784, 32)(torch.zeros(5, 784)).shape
        torch.Size([5, 784])
    """

    def __init__(self, in_features: int, hidden_features: int) -> None:
        super().__init__()
        shape = (
            _check.integer("hidden_features", hidden_features, 1),
            _check.integer("in_features", in_features, 1),
        )
        self.in_features, self.hidden_features = in_features, hidden_features
        bound = math.sqrt(6 / sum(shape))
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(hidden_features))
        self.out_bias = nn.Parameter(torch.zeros(in_features))

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return f"in_features={self.in_features}, hidden_features={self.hidden_features}"

    def encode(self, x: Float[Tensor, "B N"]) -> Float[Tensor, "B H"]:
        """The code of each input."""
        return torch.sigmoid(F.linear(x, self.weight, self.bias))

    def decode(self, h: Float[Tensor, "B H"]) -> Float[Tensor, "B N"]:
        """The input that each code stands for."""
        return F.linear(h, self.weight.T, self.out_bias)

    def forward(self, x: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Encode and decode."""
        return self.decode(
            self.encode(_check.tensor("x", x, "B N", N=self.weight.shape[1]))
        )
