"""Moving averages, momentum and Nesterov's accelerated gradient.

Shape legend: T time steps, D parameters.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.optimizer import ParamsT

from dlref import _check
from dlref.optimization.gradient_descent import Descent

__all__ = ["Momentum", "Nesterov", "ewma", "lookahead"]


def ewma(
    x: Float[Tensor, "*series T"], beta: float, *, bias_correction: bool = True
) -> Float[Tensor, "*series T"]:
    r"""Exponentially weighted moving average along the last axis.

    .. math:: v_t = \beta v_{t-1} + (1 - \beta) x_t, \quad v_0 = 0, \qquad \hat{v}_t =
        \frac{v_t}{1 - \beta^t}

    Args:
        x: one or more series.
        beta: weight of the past, in [0, 1); the weights fall to 1/e of the first after
            about ``1 / (1 - beta)`` steps.
        bias_correction: return :math:`\hat v`, whose weights sum to one from the first
            step on; the recursion itself always runs on the uncorrected :math:`v`.

    Raises:
        TypeError: if ``x`` is no floating-point tensor, or ``beta`` no number.
        ValueError: if ``x`` is empty, or ``beta`` is not in [0, 1).

    Source:
        Roberts (1959), "Control chart tests based on geometric moving averages"; the
        correction is section 3 of Kingma & Ba (2015), arXiv:1412.6980.

    Example:
        >>> ewma(torch.tensor([4.0, 4.0, 4.0]), 0.5)
        tensor([4., 4., 4.])
        >>> ewma(torch.tensor([4.0, 4.0, 4.0]), 0.5, bias_correction=False)
        tensor([2.0000, 3.0000, 3.5000])
    """
    _check.tensor("x", x, "... T")
    beta = _check.real("beta", beta, "[0, 1)")
    wide = x if x.device.type == "mps" else x.double()  # rounding adds up over the past
    v, averages = torch.zeros_like(wide[..., 0]), []
    for x_t in wide.unbind(-1):
        v = beta * v + (1 - beta) * x_t
        averages.append(v)
    v = torch.stack(averages, -1)
    if bias_correction:
        t = torch.arange(1, x.shape[-1] + 1, dtype=v.dtype, device=x.device)
        v = v / -torch.expm1(t * v.new_tensor(beta).log())  # 1 - beta ** t would cancel
    return v.to(x.dtype)


class Momentum(Descent):
    r"""Gradient descent with momentum (the heavy ball).

    .. math:: v_t = \mu v_{t-1} + (1 - \tau)\, g_t, \qquad \theta_t = \theta_{t-1} -
        \eta\, v_t

    where :math:`g_t` is the gradient at :math:`\theta_{t-1}` plus ``weight_decay``
    times :math:`\theta_{t-1}`, and :math:`v_1 = g_1`.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        momentum: mu, in [0, 1).
        dampening: tau, in [0, 1]; ``dampening = momentum`` makes v a moving average of
            the gradients.
        weight_decay: lambda, at least 0.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, or a gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Polyak (1964), "Some methods of speeding up the convergence of iteration
        methods"; in the form of Sutskever et al. (2013), ICML, that PyTorch uses. The
        state is that of ``torch.optim.SGD``.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = Momentum([theta], lr=0.1, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     theta.square().sum().backward()
        ...     optimizer.step()
        >>> round(theta.item(), 4)
        0.54
    """

    _intervals: ClassVar[dict[str, str]] = {
        **Descent._intervals,
        "momentum": "[0, 1)",
        "dampening": "[0, 1]",
    }
    _later: ClassVar[dict[str, Any]] = {**Descent._later, "nesterov": False}
    _kind: ClassVar[dict[str, bool]] = {"nesterov": False}
    _names: ClassVar[tuple[str, ...]] = ("momentum_buffer",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.9,
        *,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            **self._kind,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        if group["nesterov"] and group["dampening"]:
            raise ValueError(
                f"dampening must be 0 with Nesterov's form, got {group['dampening']}"
            )

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> None:
        mu, state = group["momentum"], self.state[theta]
        if mu == 0:
            v = g
        elif state.get("momentum_buffer") is None:
            v = state["momentum_buffer"] = g.clone()
        else:
            v = state["momentum_buffer"].mul_(mu).add_(g, alpha=1 - group["dampening"])
        theta.sub_(g.add(v, alpha=mu) if group["nesterov"] else v, alpha=group["lr"])


class Nesterov(Momentum):
    r"""Nesterov's accelerated gradient, in the form that frameworks use.

    .. math:: v_t = \mu v_{t-1} + g_t, \qquad \theta_t = \theta_{t-1} - \eta\,(g_t + \mu
        v_t)

    The parameters it moves are the look-ahead points of :func:`lookahead`.

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        momentum: mu, in [0, 1).
        weight_decay: lambda, at least 0.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, or a gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Nesterov (1983); this form is Bengio, Boulanger-Lewandowski & Pascanu (2013),
        arXiv:1212.0901, section 3.5. Differs from Nesterov (1983): a fixed momentum
        instead of a growing one.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = Nesterov([theta], lr=0.1, momentum=0.5)
        >>> theta.square().sum().backward()
        >>> optimizer.step()
        >>> round(theta.item(), 4)
        0.7
    """

    _kind: ClassVar[dict[str, bool]] = {"nesterov": True}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.9,
        *,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr, momentum, weight_decay=weight_decay, maximize=maximize
        )


def lookahead(
    f: Callable[[Tensor], Tensor],
    theta: Float[Tensor, " D"],
    *,
    lr: float,
    momentum: float,
    steps: int,
) -> tuple[Float[Tensor, "T D"], Float[Tensor, "T D"]]:
    r"""Nesterov's accelerated gradient as it was first written.

    Step, look ahead, take the gradient there.

    .. math::

        \tilde\theta_t = \theta_t - \mu u_{t-1}, \qquad u_t = \mu u_{t-1} + \eta \nabla
        f(\tilde\theta_t), \qquad \theta_{t+1} = \theta_t - u_t

    Args:
        f: the function to minimise, of a vector, differentiable by torch.
        theta: where to start.
        lr: learning rate eta, above 0.
        momentum: mu, in [0, 1).
        steps: how many updates.

    Returns:
        The iterates :math:`\theta` and the look-ahead points :math:`\tilde\theta`, the
        start among both: ``steps + 1`` rows each.

    Raises:
        TypeError: if ``theta`` is no floating-point tensor or a number is none.
        ValueError: if ``theta`` is no vector, or a number is out of range.

    Source:
        Nesterov (1983); the notation with update u is that of Sutskever et al. (2013),
        ICML, equations 3 and 4.

    Example:
        >>> theta, ahead = lookahead(
        ...     lambda x: x.square().sum(), torch.ones(1), lr=0.1, momentum=0.5, steps=1
        ... )
        >>> theta[1], ahead[1]
        (tensor([0.8000]), tensor([0.7000]))
    """
    theta = _check.tensor("theta", theta, "D").detach()
    lr = _check.real("lr", lr, "(0, inf)")
    momentum = _check.real("momentum", momentum, "[0, 1)")
    u, points, ahead = torch.zeros_like(theta), [theta], [theta]
    for _ in range(_check.integer("steps", steps, 1)):
        u = momentum * u + lr * torch.func.grad(f)(ahead[-1])
        points.append(points[-1] - u)
        ahead.append(points[-1] - momentum * u)
    return torch.stack(points), torch.stack(ahead)
