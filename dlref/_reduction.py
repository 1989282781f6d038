"""From the losses of many examples to what a loss function gives."""

from torch import Tensor

from dlref import _check

REDUCTIONS = ("mean", "sum", "none")


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """Their mean, their sum, or the losses as they are."""
    _check.one_of("reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
