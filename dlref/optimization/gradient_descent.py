"""Gradient descent: the step that every rule of this part shares.

Its batches, and surfaces to look at.

Shape legend: T steps and the start, D parameters, B examples of a batch.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from dlref import _check
from dlref.optimization._states import check_state, plain

__all__ = [
    "SGD",
    "SURFACES",
    "Descent",
    "Surface",
    "flat_loss",
    "minibatches",
    "trajectory",
]


class Descent(Optimizer):
    """What all rules of this part share.

    Which parameters move, and by which gradient. A rule adds its ``_update``.

    Args:
        params: parameters, or parameter groups.
        defaults: hyperparameters of a group that does not name its own; ``lr``,
            ``weight_decay`` and ``maximize`` must be among them.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        The interface is that of ``torch.optim``; the gradient with weight decay is that
        of its rules.

    Example:
        >>> issubclass(SGD, Descent) and issubclass(Descent, torch.optim.Optimizer)
        True
    """

    _intervals: ClassVar[dict[str, str]] = {
        "lr": "[0, inf)",
        "weight_decay": "[0, inf)",
    }
    # what older states lack, and what makes the rule the one that it is
    _later: ClassVar[dict[str, Any]] = {"maximize": False}
    _kind: ClassVar[dict[str, bool]] = {}
    _names: ClassVar[tuple[str, ...]] = ()  # of what it may keep of each parameter

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group with hyperparameters of its own.

        Those it does not name are the optimiser's.
        """
        self._check_group({**self.defaults, **param_group})
        super().add_param_group(param_group)
        for theta in self.param_groups[-1]["params"]:
            if theta.is_complex():
                self.param_groups.pop()
                raise TypeError(f"params must be real, got {_check.describe(theta)}")

    def _check_group(self, group: dict[str, Any]) -> None:
        for name, interval in self._intervals.items():
            value = group[name]
            if name == "lr" and isinstance(value, Tensor) and value.numel() == 1:
                value = value.item()
            _check.real(name, value, interval)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a saved state, if it is one of this rule.

        What a state of an older torch lacks is filled in.
        """
        check_state(self, state)
        super().__setstate__(state)

    def _memory(self, group: dict[str, Any]) -> list[str]:  # noqa: ARG002  rules with a memory look
        """Names of what the rule keeps of each parameter with these settings."""
        return []

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  torch overloads it
        """Take one step.

        ``closure``, if given, recomputes the loss and is called first.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [
            (theta, theta.grad, plain(group))
            for group in self.param_groups
            for theta in group["params"]
            if theta.grad is not None
        ]
        for _, g, _ in moving:
            if g.is_sparse:  # said before anything has moved
                raise TypeError(
                    f"params must have dense gradients, got a {g.layout} one"
                )
        # a temporary lives until the next has been made, or the allocator returns it
        # and fetches it anew
        kept = None
        for theta, g, group in moving:
            g = -g if group["maximize"] else g
            if group["weight_decay"]:
                g = self._decay(theta, g, group)
            kept = self._update(theta, g, group)
        del kept
        return loss

    def _decay(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor:
        return g.add(theta, alpha=group["weight_decay"])

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor | None:
        raise NotImplementedError


class SGD(Descent):
    r"""Gradient descent; stochastic, if the gradient is that of a few examples.

    .. math:: \theta_t = \theta_{t-1} - \eta\, g_t

    where :math:`g_t` is the gradient at :math:`\theta_{t-1}` plus ``weight_decay``
    times :math:`\theta_{t-1}`.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        weight_decay: lambda, at least 0.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Cauchy (1847), Comptes rendus 25; Robbins & Monro (1951) for noisy gradients.
        The state is that of ``torch.optim.SGD`` without momentum.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = SGD([theta], lr=0.25)
        >>> theta.square().sum().backward()
        >>> optimizer.step()
        >>> theta.item()
        0.5
    """

    # Of torch's rule of that name: in states that are exchanged, not in the groups,
    # where schedules would find a momentum to change that this rule has not.
    _like_torch: ClassVar[dict[str, Any]] = {
        "momentum": 0.0,
        "dampening": 0.0,
        "nesterov": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        *,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def state_dict(self) -> dict[str, Any]:
        """The state, with what ``torch.optim.SGD`` wants to find in one."""
        packed = super().state_dict()
        for group in packed["param_groups"]:
            group |= self._like_torch
        return packed

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a saved state, also one of ``torch.optim.SGD`` without momentum."""
        for group in state["param_groups"]:
            _check.real("momentum", group.get("momentum", 0.0), "[0, 0]")
            for name in self._like_torch:
                group.pop(name, None)
        super().__setstate__(state)

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        theta.sub_(g, alpha=group["lr"])


def trajectory(
    f: Callable[[Tensor], Tensor],
    theta: Float[Tensor, " D"],
    optimizer: Callable[[list[Tensor]], Optimizer],
    *,
    steps: int,
) -> Float[Tensor, "T D"]:
    """Every point that an optimiser visits on the way down a function.

    Args:
        f: the function to minimise, of a vector, differentiable by torch.
        theta: where to start; it is left as it is.
        optimizer: makes the optimiser from a list of parameters.
        steps: how many updates.

    Returns:
        The start and the point after each step: ``steps + 1`` rows.

    Raises:
        TypeError: if ``theta`` is no floating-point tensor.
        ValueError: if ``theta`` is no vector or ``steps`` is below 1.

    Source:
        This book.

    Example:
        >>> trajectory(
        ...     lambda x: x.square().sum(),
        ...     torch.ones(1),
        ...     lambda p: SGD(p, lr=0.25),
        ...     steps=1,
        ... )
        tensor([[1.0000],
                [0.5000]])
    """
    parameter = _check.tensor("theta", theta, "D").detach().clone().requires_grad_()
    rule, points = optimizer([parameter]), [parameter.detach().clone()]
    for _ in range(_check.integer("steps", steps, 1)):
        rule.zero_grad()
        f(parameter).backward()
        rule.step()
        points.append(parameter.detach().clone())
    return torch.stack(points)


class Surface(NamedTuple):
    """A loss of two parameters, to look at.

    Attributes:
        f: the loss, of a tensor whose first axis has the two parameters.
        start: where to begin.
        lowest: its smallest value.
        xlim: range of the first parameter to draw.
        ylim: range of the second.

    Source:
        This book.

    Example:
        >>> SURFACES["ravine"].height(np.ones((1, 1)), np.zeros((1, 1)))
        array([[0.5]])
    """

    f: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    lowest: float
    xlim: tuple[float, float]
    ylim: tuple[float, float]

    @property
    def window(self) -> dict[str, tuple[float, float]]:
        """The ranges to draw, as arguments of :func:`dlref.plot.contour_path`."""
        return {"xlim": self.xlim, "ylim": self.ylim}

    def height(
        self, x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Values on a grid, from the two coordinates of its points."""
        return self.f(torch.from_numpy(np.stack([x, y]))).numpy()


def _rosenbrock(theta: Tensor) -> Tensor:
    return (1 - theta[0]) ** 2 + 100 * (theta[1] - theta[0] ** 2) ** 2


#: Four losses on which rules differ: a valley fifty times as steep across as along, a
#: saddle between two minima, a plain around one pit, and the curved valley of
#: Rosenbrock (1960).
SURFACES: dict[str, Surface] = {
    "ravine": Surface(
        lambda t: (t[0] ** 2 + 50 * t[1] ** 2) / 2,
        (-9.0, 1.2),
        0.0,
        (-10.0, 6.0),
        (-2.0, 2.0),
    ),
    "saddle": Surface(
        lambda t: t[0] ** 2 / 2 - t[1] ** 2 / 2 + t[1] ** 4 / 4,
        (-1.8, 1e-3),
        -0.25,
        (-2.0, 1.0),
        (-1.6, 1.6),
    ),
    "plateau": Surface(
        lambda t: 1 - torch.exp(-(t[0] ** 2 + t[1] ** 2) / 2),
        (-3.4, 2.4),
        0.0,
        (-4.0, 2.6),
        (-2.6, 3.0),
    ),
    "Rosenbrock": Surface(_rosenbrock, (-1.2, 1.0), 0.0, (-1.6, 1.4), (-0.6, 1.6)),
}


def minibatches(
    size: int,
    batch_size: int,
    *,
    replacement: bool = False,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Indices of the examples of each step of one epoch.

    Args:
        size: examples in all, m.
        batch_size: examples of a step, at most ``size``.
        replacement: draw each batch anew from all examples; by default the shuffled
            examples are shared out, each in one batch, the last of which may be
            smaller.
        generator: of the order; by default torch's own.

    Yields:
        Index tensors (B,), as many as there are batches in an epoch, rounded up.

    Raises:
        TypeError, ValueError: if a number is no integer, or out of range.

    Source:
        Bottou (2012), "Stochastic gradient descent tricks", for the shuffled order.

    Example:
        >>> sorted(torch.cat(list(minibatches(5, 2))).tolist())
        [0, 1, 2, 3, 4]
    """
    size = _check.integer("size", size, 1)
    batch_size = _check.integer("batch_size", batch_size, 1, size)
    if replacement:
        return (
            torch.randint(size, (batch_size,), generator=generator)
            for _ in range(-(-size // batch_size))
        )
    return iter(torch.randperm(size, generator=generator).split(batch_size))


def flat_loss(
    model: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    inputs: Tensor,
    targets: Tensor,
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The loss of a network as a function of one vector.

    And the vector that it has now.

    Gradients, Hessians and :func:`trajectory` want a function of a vector; this makes
    one. The model is left as it is.

    Args:
        model: the network, with at least one parameter.
        loss: of (output, target), a mean over the batch.
        inputs: what the model takes.
        targets: what the loss compares with.

    Returns:
        The function of a vector (D,), and the model's parameters as such, in their
        order.

    Raises:
        ValueError: if the model has no parameters.

    Source:
        This book; ``torch.func.functional_call`` does the work.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> f, theta = flat_loss(
        ...     model, nn.functional.mse_loss, torch.eye(2), torch.zeros(2, 1)
        ... )
        >>> bool(torch.isclose(f(theta), theta.square().mean()))
        True
    """
    parameters = dict(model.named_parameters())
    if not parameters:
        raise ValueError(
            f"model must have parameters, got {type(model).__name__} without any"
        )

    def f(theta: Tensor) -> Tensor:
        parts = theta.split([p.numel() for p in parameters.values()])
        named = {
            name: part.view_as(p)
            for (name, p), part in zip(parameters.items(), parts, strict=True)
        }
        return loss(functional_call(model, named, (inputs,)), targets)

    return f, parameters_to_vector(parameters.values()).detach()
