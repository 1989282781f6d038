"""Gradients of an answer with respect to its input, and what is built on them.

Shape legend: B batch, C channels, H W image, h w map of a layer, ... any further axes.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.interpretation.features.layers import Target, recorded, scores

__all__ = ["grad_cam", "input_gradient", "integrated_gradients", "smooth_grad"]


def input_gradient(
    model: nn.Module, x: Float[Tensor, "B ..."], target: Target
) -> Float[Tensor, "B ..."]:
    r"""Gradient of a score with respect to the input, :math:`\partial f / \partial x`.

    The gradients of the parameters are left as they are.

    Args:
        model: in evaluation mode; (B, ...) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if the model is in training mode, or there is no such target.

    Source:
        Simonyan, Vedaldi & Zisserman (2014), arXiv:1312.6034.

    Example:
        >>> net = nn.Linear(2, 3).eval()
        >>> found = input_gradient(net, torch.zeros(1, 2), 2)
        >>> torch.equal(found[0], net.weight[2])
        True
    """
    _check.tensor("x", x, "...", empty=True)
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = _total(model, x, target)
    # a score that is a constant has the gradient zero
    (found,) = torch.autograd.grad(total, x, allow_unused=True, materialize_grads=True)
    return found


def _total(model: nn.Module, x: Tensor, target: Target) -> Tensor:
    total = scores(model, x, target).sum()
    if not total.requires_grad:
        raise ValueError(
            "model must give scores that have gradients: it computes them detached, in "
            "inference mode, or from nothing"
        )
    return total


def integrated_gradients(
    model: nn.Module,
    x: Float[Tensor, "B ..."],
    target: Target,
    *,
    baselines: Float[Tensor, "..."] | float = 0.0,
    n_steps: int = 50,
    internal_batch_size: int = 32,
) -> Float[Tensor, "B ..."]:
    r"""Gradients collected on the straight way from a baseline to the input.

    .. math:: (x_i - b_i) \int_0^1 \frac{\partial f}{\partial x_i}
        \bigl(b + \alpha (x - b)\bigr) \, d\alpha

    The integral is taken at the middles of equal steps. The sum over i tends to
    :math:`f(x) - f(b)`; how many steps that needs depends on the network, and a sum
    that is far off says that there were too few.

    Args:
        model: in evaluation mode; (B, ...) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.
        baselines: where the way begins: a number, or a tensor that fits ``x``.
        n_steps: how many gradients are computed for each input.
        internal_batch_size: inputs that the model is given at a time, or those of one
            step if they are more.

    Raises:
        TypeError: if ``model`` is no module, or ``n_steps`` no integer.
        ValueError: if the model is in training mode, there is no such target or no
            step, or the baseline does not fit.

    Source:
        Sundararajan, Taly & Yan (2017), arXiv:1703.01365.

    Example:
        >>> net = nn.Linear(2, 1, bias=False).eval()
        >>> x = torch.tensor([[1.0, 2.0]])
        >>> bool(torch.isclose(integrated_gradients(net, x, 0).sum(), net(x).sum()))
        True
    """
    _check.tensor("x", x, "...", empty=True)
    n_steps = _check.integer("n_steps", n_steps, 1)
    size = _check.integer("internal_batch_size", internal_batch_size, 1)
    start = baseline_of(baselines, x)
    way = (x - start).detach()
    middles = (torch.arange(n_steps, dtype=x.dtype, device=x.device) + 0.5) / n_steps
    total = torch.zeros_like(x)
    for some in middles.split(max(1, size // max(1, len(x)))):
        at = start + some.reshape(-1, *[1] * x.ndim) * way  # (steps, B, ...)
        each = target.repeat(len(some)) if isinstance(target, Tensor) else target
        total += input_gradient(model, at.flatten(0, 1), each).reshape(at.shape).sum(0)
    return way * total / n_steps


def baseline_of(value: Tensor | float, x: Tensor) -> Tensor:
    """What an input is compared with, of the input's shape."""
    found = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    try:
        return found.expand_as(x)
    except RuntimeError:
        raise ValueError(
            f"baselines must be a number or fit the shape {tuple(x.shape)}, "
            f"got {_check.describe(value)}"
        ) from None


def smooth_grad(
    model: nn.Module,
    x: Float[Tensor, "B ..."],
    target: Target,
    *,
    stdevs: float,
    nt_samples: int = 50,
    internal_batch_size: int = 32,
    generator: torch.Generator | None = None,
    method: Callable[..., Tensor] = input_gradient,
) -> Float[Tensor, "B ..."]:
    r"""Mean of the maps of noisy copies of the input.

    .. math:: \frac1n \sum_{k=1}^n M(x + \sigma \epsilon_k),
        \qquad \epsilon_k \sim N(0, 1)

    Args:
        model: in evaluation mode; (B, ...) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.
        stdevs: standard deviation of the noise, in units of the input.
        nt_samples: number of copies.
        internal_batch_size: inputs that the model is given at a time, or one copy of
            all if they are more.
        generator: source of the noise; torch's own by default.
        method: the map M, called with the model, inputs and target.

    Raises:
        TypeError: if ``model`` is no module, or a setting no number.
        ValueError: if the model is in training mode, there is no such target, or a
            setting is out of range.

    Source:
        Smilkov, Thorat, Kim, Viegas & Wattenberg (2017), arXiv:1706.03825.

    Example:
        >>> net = nn.Linear(2, 1).eval()
        >>> found = smooth_grad(net, torch.zeros(1, 2), 0, stdevs=0.1, nt_samples=4)
        >>> torch.allclose(found, net.weight)
        True
    """
    _check.tensor("x", x, "...", empty=True)
    stdevs = _check.real("stdevs", stdevs, "[0, inf)")
    nt_samples = _check.integer("nt_samples", nt_samples, 1)
    size = _check.integer("internal_batch_size", internal_batch_size, 1)
    copies = max(1, size // max(1, len(x)))
    like = {"generator": generator, "dtype": x.dtype, "device": x.device}
    total = torch.zeros_like(x)
    for first in range(0, nt_samples, copies):
        drawn = range(first, min(first + copies, nt_samples))
        noise = torch.stack([torch.randn(x.shape, **like) for _ in drawn])
        each = target.repeat(len(noise)) if isinstance(target, Tensor) else target
        maps = method(model, (x + stdevs * noise).flatten(0, 1), each)
        total += maps.reshape(noise.shape).sum(0)
    return total / nt_samples


def grad_cam(
    model: nn.Module, x: Float[Tensor, "B C H W"], target: Target, layer: str
) -> Float[Tensor, "B h w"]:
    r"""Where the channels of a layer that speak for the target are active.

    .. math:: \max\Bigl(0, \sum_k c_k A_k\Bigr), \qquad
        c_k = \frac{1}{hw} \sum_{u,v} \frac{\partial f}{\partial A_{k,u,v}}

    Args:
        model: in evaluation mode; (B, C, H, W) to scores (B, classes).
        x: inputs.
        target: a class, a class for each example, or the indices of a unit if the
            output has more axes.
        layer: name of a layer with maps, usually the last.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if the model is in training mode, there is no such target or
            layer, the layer gives no maps, or the target does not depend on it.

    Source:
        Selvaraju et al. (2017), arXiv:1610.02391.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
        >>> grad_cam(net.eval(), torch.zeros(1, 1, 4, 4), 0, "0").shape
        torch.Size([1, 2, 2])
    """
    _check.tensor("x", x, "B C H W", empty=True)
    with recorded(model, [layer]) as kept, torch.enable_grad():
        total = _total(model, x.detach().requires_grad_(), target)
    maps = kept.get(layer)
    if maps is None or maps.ndim != 4:
        got = "none" if maps is None else _check.describe(maps)
        raise ValueError(f"layer must give maps of shape (B, K, h, w), got {got}")
    (slope,) = torch.autograd.grad(total, maps, allow_unused=True)
    if slope is None:
        raise ValueError(f"target must depend on the layer, not so with {layer!r}")
    weight = slope.mean((2, 3), keepdim=True)
    return (weight * maps.detach()).sum(1).relu()
