"""Dropout: units left out at random in training, and what that does at test time.

Shape legend: D draws.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check

__all__ = ["Dropout", "drop_units", "monte_carlo", "thinned_networks"]


@torch.fx.wrap
def drop_units(
    x: Float[Tensor, "*shape"], p: float = 0.5, training: bool = True
) -> Float[Tensor, "*shape"]:
    r"""Set each value to zero with probability p, in training.

    The others are divided by 1 - p, so that the mean is kept.

    .. math:: y = \frac{m}{1 - p} \odot x, \quad m_i \sim \text{Bernoulli}(1 - p),
        \qquad \bar x = \frac{m}{1 - p} \odot \bar y

    Args:
        x: activations.
        p: probability of being *dropped*, in [0, 1]; many texts give the probability of
            being kept instead.
        training: if not, ``x`` is returned as it is.

    Raises:
        TypeError, ValueError: if ``x`` is no tensor of floating-point numbers, or ``p``
            is not in [0, 1].

    Source:
        Srivastava et al. (2014), JMLR 15, with the scaling in training instead of at
        test time. Draws the same masks as ``torch.nn.functional.dropout`` from the same
        random state on the CPU.

    Example:
        >>> torch.manual_seed(0)
        <torch._C.Generator object at ...>
        >>> sorted(set(drop_units(torch.ones(100), 0.2).tolist()))
        [0.0, 1.25]
    """
    _check.tensor("x", x, "...", empty=True)
    p = _check.real("p", p, "[0, 1]")
    if not training or p == 0:
        return x
    if p == 1:
        return x * torch.zeros_like(x)
    return x * torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)


class Dropout(nn.Module):
    """:func:`drop_units` as a layer, on in training and off in evaluation.

    Args:
        p: probability of being dropped, in [0, 1].
        inplace: write the result over the input.

    Raises:
        TypeError, ValueError: if ``p`` is not a number in [0, 1].

    Source:
        Srivastava et al. (2014), JMLR 15.

    Example:
        >>> layer = Dropout(0.3).eval()
        >>> layer(torch.ones(3))
        tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = _check.real("p", p, "[0, 1]")
        self.inplace = inplace

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return f"p={self.p}" + ", inplace=True" * self.inplace

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop in training mode."""
        y = drop_units(x, self.p, self.training)
        return x.copy_(y) if self.inplace and y is not x else y


def thinned_networks(
    n: int, p: float = 0.5
) -> tuple[Float[Tensor, "networks n"], Float[Tensor, " networks"]]:
    """All ways to drop some of n units, and how likely each is.

    Args:
        n: number of units, in [1, 20].
        p: probability of being dropped, in [0, 1].

    Returns:
        Masks of zeros and ones, one a row, and their probabilities, both in double
        precision.

    Raises:
        TypeError, ValueError: if a number is out of its range.

    Source:
        Srivastava et al. (2014), JMLR 15, section 1, count them.

    Example:
        >>> masks, probabilities = thinned_networks(2, 0.25)
        >>> masks.tolist(), probabilities.tolist()
        ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0625, 0.1875, 0.1875,
        0.5625])
    """
    n, p = _check.integer("n", n, 1, 20), _check.real("p", p, "[0, 1]")
    masks = torch.cartesian_prod(
        *[torch.tensor([0.0, 1.0], dtype=torch.float64)] * n
    ).reshape(2**n, n)
    return masks, (masks * (1 - p) + (1 - masks) * p).prod(1)


def monte_carlo(model: nn.Module, x: Tensor, draws: int) -> Tensor:
    """Outputs of a network with its dropout left on.

    One draw of all masks after the other.

    Args:
        model: all its dropout layers draw, torch's own included; its other layers are
            in evaluation.
        x: a batch of inputs.
        draws: D, at least 1.

    Returns:
        (D, ...) outputs, without gradient; their spread is a measure of the network's
        uncertainty.

    Raises:
        TypeError: if ``model`` is no module, or ``draws`` no integer.
        ValueError: if the model has no dropout layer, or ``draws`` is below 1.

    Source:
        Gal & Ghahramani (2016), arXiv:1506.02142.

    Example:
        >>> monte_carlo(
        ...     nn.Sequential(nn.Linear(3, 2), Dropout()), torch.ones(5, 3), 10
        ... ).shape
        torch.Size([10, 5, 2])
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
    draws = _check.integer("draws", draws, 1)
    with _only_dropout(model), torch.no_grad():
        return torch.stack([model(x) for _ in range(draws)])


@contextmanager
def _only_dropout(model: nn.Module) -> Iterator[None]:
    layers = [
        m
        for m in model.modules()
        if isinstance(m, Dropout | nn.modules.dropout._DropoutNd)
    ]
    if not layers:
        raise ValueError(
            f"model must have a dropout layer, got none in {type(model).__name__}"
        )
    modes = {m: m.training for m in model.modules()}
    model.eval()
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
