"""Gradients that vanish or explode.

Seeing it, clipping them, going round them, and doing without.

Shape legend: P individuals of a population, D parameters.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check

__all__ = [
    "Evolution",
    "Residual",
    "clip_grad_norm_",
    "clip_grad_value_",
    "genetic_search",
    "gradient_norms",
]


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Root mean square of the gradient of each matrix and kernel.

    First layer first.

    Args:
        model: after ``backward``; parameters of one axis and parameters without
            gradient are left out.

    Raises:
        TypeError: if ``model`` is no module.
        ValueError: if no matrix of it has a gradient.

    Source:
        Glorot & Bengio (2010), AISTATS, figure 7, look at gradients by layer.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> net(torch.ones(1, 2)).sum().backward()
        >>> gradient_norms(net)
        {'weight': 1.0}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
    found = {
        name: p.grad.square().mean().sqrt().item()
        for name, p in model.named_parameters()
        if p.ndim >= 2 and p.grad is not None
    }
    if not found:
        raise ValueError("model must have gradients, got none: call backward first")
    return found


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    grads = [p.grad for p in tensors if p.grad is not None]
    for g in grads:
        if g.is_sparse:
            raise TypeError(
                f"parameters must have dense gradients, got a {g.layout} one"
            )
    return grads


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    r"""Cut each component of the gradients to :math:`[-c, c]`, in place.

    The direction changes.

    Args:
        parameters: those without gradient are left out.
        clip_value: c, at least 0.

    Raises:
        TypeError, ValueError: if ``clip_value`` is negative, or a gradient is sparse.

    Source:
        Mikolov (2012), PhD thesis, section 3.2.2.

    Example:
        >>> w = nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, -0.5])
        >>> clip_grad_value_(w, 1.0)
        >>> w.grad
        tensor([ 1.0000, -0.5000])
    """
    clip_value = _check.real("clip_value", clip_value, "[0, inf)")
    for g in _gradients(parameters):
        g.clamp_(-clip_value, clip_value)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    *,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Shorten the gradient of all parameters together to a length, in place.

    The direction stays.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{c}{\|g\| + 10^{-6}}\right)

    Args:
        parameters: those without gradient are left out.
        max_norm: c, at least 0.
        norm_type: p of the p-norm, above 0; ``inf`` for the largest component.
        error_if_nonfinite: raise if the norm is NaN or infinite; otherwise the
            gradients become NaN or zero.

    Returns:
        The norm before clipping.

    Raises:
        TypeError, ValueError: if a number is out of its range, or a gradient is sparse.
        RuntimeError: if the norm is not finite and this was asked for; the gradients
            are then as they were.

    Source:
        Pascanu, Mikolov & Bengio (2013), arXiv:1211.5063, algorithm 1.

    Example:
        >>> w = nn.Parameter(torch.zeros(2))
        >>> w.grad = torch.tensor([3.0, -4.0])
        >>> clip_grad_norm_(w, 1.0), w.grad
        (tensor(5.), tensor([ 0.6000, -0.8000]))
    """
    max_norm = _check.real("max_norm", max_norm, "[0, inf)")
    norm_type = _check.real("norm_type", norm_type, "(0, inf]")
    grads = _gradients(parameters)
    if not grads:
        return torch.tensor(0.0)
    device = grads[0].device
    norms = torch.stack(
        [torch.linalg.vector_norm(g, norm_type).to(device) for g in grads]
    )
    total = torch.linalg.vector_norm(norms, norm_type)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"parameters must have gradients of finite norm, got {total.item()}"
        )
    factor = (max_norm / (total + 1e-6)).clamp(
        max=1
    )  # multiplied in any case: a look would wait for the device
    for g in grads:
        g.mul_(factor.to(g.device))
    return total


class Residual(nn.Module):
    """A block and a way round it: its input is added to its output.

    Args:
        block: its output has the shape of its input.

    Raises:
        TypeError: if ``block`` is no module.
        ValueError: in use, if the block changes the shape.

    Source:
        He et al. (2016), arXiv:1512.03385.

    Example:
        >>> Residual(nn.Identity())(torch.ones(2))
        tensor([2., 2.])
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        if not isinstance(block, nn.Module):
            raise TypeError(
                f"block must be a torch.nn.Module, got {_check.describe(block)}"
            )
        self.block = block

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Add what the block makes of the input to the input."""
        y = self.block(x)
        if y.shape != x.shape:
            raise ValueError(
                f"block must keep the shape {tuple(x.shape)}, got {_check.describe(y)}"
            )
        return x + y


class Evolution(NamedTuple):
    """What a genetic search found.

    Attributes:
        best: (D) the best individual of all generations.
        losses: the best loss of each generation, the first of which is random.
        evaluations: how many individuals were judged.

    Source:
        Holland (1975), Adaptation in Natural and Artificial Systems.

    Example:
        >>> Evolution(torch.zeros(2), [1.0, 0.5], 100).losses[-1]
        0.5
    """

    best: Tensor
    losses: list[float]
    evaluations: int


def genetic_search(
    loss: Callable[[Float[Tensor, "P D"]], Float[Tensor, " P"]],
    start: Float[Tensor, " D"],
    *,
    population: int = 50,
    generations: int = 100,
    elite: int = 10,
    spread: float = 0.5,
    decay: float = 0.98,
    seed: int = 0,
) -> Evolution:
    """Minimise without gradients.

    The best survive and have children, who mix two parents and differ by chance.

    Each generation keeps its ``elite`` as they are. Each of the others takes every
    parameter from one of two of the elite, drawn evenly, and adds normal noise.

    Args:
        loss: of a population, one individual a row; NaN is the worst.
        start: what the first generation scatters about.
        population: P, individuals of a generation, at least 2.
        generations: how many, the first included, at least 1.
        elite: survivors, at least 1 and less than ``population``.
        spread: deviation of the noise in the first generation, above 0.
        decay: factor on it from one generation to the next, in (0, 1].
        seed: of the draws.

    Raises:
        TypeError, ValueError: if ``start`` is no vector of floating-point numbers, or a
            number is out of its range.

    Source:
        Holland (1975); with truncation selection, uniform crossover and normal mutation
        as in Such et al. (2017), arXiv:1712.06567. Differs from Such et al. (2017):
        they do without crossover.

    Example:
        >>> found = genetic_search(lambda x: x.square().sum(1), torch.full((3,), 2.0))
        >>> bool(found.best.norm() < 0.3)
        True
    """
    _check.tensor("start", start, "D")
    population = _check.integer("population", population, 2)
    generations = _check.integer("generations", generations, 1)
    elite = _check.integer("elite", elite, 1, population - 1)
    spread = _check.real("spread", spread, "(0, inf)")
    decay = _check.real("decay", decay, "(0, 1]")
    generator = torch.Generator(start.device).manual_seed(
        _check.integer("seed", seed, 0)
    )
    shape = (population, len(start))

    def noise(rows: int) -> Tensor:
        return torch.randn(
            rows,
            len(start),
            generator=generator,
            dtype=start.dtype,
            device=start.device,
        )

    individuals, losses = start + spread * noise(population), []
    while True:
        found = loss(individuals).nan_to_num(nan=torch.inf)
        order = found.argsort(stable=True)
        losses.append(found[order[0]].item())
        if len(losses) == generations:
            return Evolution(individuals[order[0]], losses, population * generations)
        survivors, spread = individuals[order[:elite]], spread * decay
        parents = torch.randint(
            elite, (2, population - elite), generator=generator, device=start.device
        )
        first = (
            torch.rand(
                population - elite, shape[1], generator=generator, device=start.device
            )
            < 0.5
        )
        children = torch.where(first, survivors[parents[0]], survivors[parents[1]])
        individuals = torch.cat(
            [survivors, children + spread * noise(population - elite)]
        )
