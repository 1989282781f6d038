"""Backward passes with another rule at the rectifiers.

Shape legend: B batch, ... any further axes.
"""

from jaxtyping import Float
from torch import Tensor, nn

from dlref.interpretation._rectified import Rule
from dlref.interpretation.features.attribution import input_gradient
from dlref.interpretation.features.layers import Target

__all__ = ["deconvolution", "guided_backpropagation"]


def deconvolution(
    model: nn.Module, x: Float[Tensor, "B ..."], target: Target
) -> Float[Tensor, "B ..."]:
    r"""The gradient with another rule: a rectifier passes on what is positive.

    .. math:: g_z = \max(0, g_y) \qquad \text{for } y = \max(0, z)

    Rectifiers are found as layers, functions and methods, clipped ones (ReLU6) and
    those that work in place: relu, relu6, hardtanh, clamp, clip and threshold that cut
    off at zero, ``where`` and ``maximum`` with zero. What is written in another way
    (``x * (x > 0)``, a scripted part) and other activations keep their derivative.

    Args:
        model: in evaluation mode; (B, ...) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if the model is in training mode, or there is no such target.

    Source:
        Zeiler & Fergus (2014), arXiv:1311.2901; as a rule for gradients, Simonyan et
        al. (2014), arXiv:1312.6034, section 4.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
        >>> _ = net[1].weight.data.copy_(torch.tensor([[1.0, 2.0]]))
        >>> deconvolution(net, torch.tensor([[3.0, -1.0]]), 0)
        tensor([[1., 2.]])
    """
    with Rule(guided=False):
        return input_gradient(model, x, target)


def guided_backpropagation(
    model: nn.Module, x: Float[Tensor, "B ..."], target: Target
) -> Float[Tensor, "B ..."]:
    r"""The gradient with both rules at a rectifier.

    .. math:: g_z = \max(0, g_y) \, [z > 0] \qquad \text{for } y = \max(0, z)

    Rectifiers are found as by :func:`deconvolution`; a clipped one passes nothing on
    where it clips either.

    Args:
        model: in evaluation mode; (B, ...) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if the model is in training mode, or there is no such target.

    Source:
        Springenberg, Dosovitskiy, Brox & Riedmiller (2015), arXiv:1412.6806.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
        >>> _ = net[1].weight.data.copy_(torch.tensor([[1.0, 2.0]]))
        >>> guided_backpropagation(net, torch.tensor([[3.0, -1.0]]), 0)
        tensor([[1., 0.]])
    """
    with Rule(guided=True):
        return input_gradient(model, x, target)
