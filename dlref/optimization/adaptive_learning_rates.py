"""Rules that give each parameter a step size of its own.

Adagrad, RMSProp, Adam, AdamW.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from dlref import _check
from dlref.optimization._states import begun
from dlref.optimization.gradient_descent import Descent

__all__ = ["Adagrad", "Adam", "AdamW", "RMSProp"]


class Adagrad(Descent):
    r"""Gradient descent whose rate falls with the gradients so far.

    Each parameter has its own.

    .. math::

        v_t = v_{t-1} + g_t^2, \qquad
        \theta_t = \theta_{t-1} - \frac{\eta}{1 + (t-1)\,\delta} \cdot
        \frac{g_t}{\sqrt{v_t} + \epsilon}

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        lr_decay: delta, at least 0.
        weight_decay: lambda, at least 0; lambda theta is added to the gradient.
        initial_accumulator_value: what v begins with, at least 0.
        eps: epsilon, at least 0.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Duchi, Hazan & Singer (2011), JMLR 12. The state is that of
        ``torch.optim.Adagrad``.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = Adagrad([theta], lr=0.5)
        >>> theta.grad = torch.tensor([100.0, 0.01])
        >>> optimizer.step()
        >>> theta.detach()
        tensor([0.5000, 0.5000])
    """

    _intervals: ClassVar[dict[str, str]] = {
        **Descent._intervals,
        **dict.fromkeys(("lr_decay", "initial_accumulator_value", "eps"), "[0, inf)"),
    }
    _names: ClassVar[tuple[str, ...]] = ("step", "sum")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(
            params, {**defaults, "initial_accumulator_value": initial_accumulator_value}
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group with hyperparameters of its own.

        Its sums of squares begin at once.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for theta in group["params"]:
            start = torch.full_like(theta, group["initial_accumulator_value"])
            self.state[theta] = {"step": torch.tensor(0.0), "sum": start}

    def _memory(self, group: dict[str, Any]) -> list[str]:
        del group
        return list(self._names)

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[theta]
        state["step"] += 1
        scale = state["sum"].addcmul_(g, g).sqrt().add_(group["eps"])
        if group["lr_decay"]:
            scale.mul_(1 + (state["step"].double() - 1) * group["lr_decay"])
        theta.addcdiv_(g, scale, value=-group["lr"])
        return scale


class RMSProp(Descent):
    r"""Gradient descent divided by a running root mean square of the gradients.

    Each parameter has its own.

    .. math::

        v_t = \alpha v_{t-1} + (1 - \alpha)\, g_t^2, \qquad
        \theta_t = \theta_{t-1} - \eta\, \frac{g_t}{\sqrt{v_t} + \epsilon}

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        alpha: share of the past in the average, in [0, 1].
        eps: epsilon, at least 0.
        weight_decay: lambda, at least 0; lambda theta is added to the gradient.
        momentum: mu, at least 0; the steps are then summed up as in :class:`Momentum`.
        centered: divide by the standard deviation instead, with a running mean of the
            gradients taken off.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Tieleman & Hinton (2012), lecture 6.5; centred: Graves (2013), arXiv:1308.0850.
        The state is that of ``torch.optim.RMSprop``.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = RMSProp([theta], lr=0.1, alpha=0.75)
        >>> theta.grad = torch.tensor([100.0, 0.01])
        >>> optimizer.step()
        >>> theta.detach()
        tensor([0.8000, 0.8000])
    """

    _intervals: ClassVar[dict[str, str]] = {
        **Descent._intervals,
        "alpha": "[0, 1]",
        **dict.fromkeys(("eps", "momentum"), "[0, inf)"),
    }
    _later: ClassVar[dict[str, Any]] = {
        **Descent._later,
        "momentum": 0.0,
        "centered": False,
    }
    _names: ClassVar[tuple[str, ...]] = (
        "step",
        "square_avg",
        "momentum_buffer",
        "grad_avg",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        *,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _memory(self, group: dict[str, Any]) -> list[str]:
        names = ["step", "square_avg"]
        names += ["momentum_buffer"] * (group["momentum"] > 0)
        return names + ["grad_avg"] * group["centered"]

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor:
        state, alpha = begun(self, theta, group), group["alpha"]
        state["step"] += 1
        v = state["square_avg"].mul_(alpha).addcmul_(g, g, value=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(g, 1 - alpha)
            scale = v.addcmul(mean, mean, value=-1).sqrt_().add_(group["eps"])
        else:
            scale = v.sqrt().add_(group["eps"])
        if group["momentum"]:
            u = state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(g, scale)
            theta.sub_(u, alpha=group["lr"])
        else:
            theta.addcdiv_(g, scale, value=-group["lr"])
        return scale


class Adam(Descent):
    r"""Adaptive moments: momentum divided by a root mean square.

    Both are corrected for their start at zero.

    .. math::

        m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2, \qquad
        \theta_t = \theta_{t-1} - \eta\, \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 -
        \beta_2^t)} + \epsilon}

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        betas: beta_1 and beta_2, each in [0, 1).
        eps: epsilon, at least 0.
        weight_decay: lambda, at least 0; lambda theta is added to the gradient.
        amsgrad: divide by the largest v so far.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Kingma & Ba (2015), arXiv:1412.6980, algorithm 1; amsgrad: Reddi, Kale & Kumar
        (2018), arXiv:1904.09237. The state is that of ``torch.optim.Adam``.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = Adam([theta], lr=0.1)
        >>> theta.grad = torch.tensor([100.0, 0.01])
        >>> optimizer.step()
        >>> theta.detach()
        tensor([0.9000, 0.9000])
    """

    _intervals: ClassVar[dict[str, str]] = {**Descent._intervals, "eps": "[0, inf)"}
    _later: ClassVar[dict[str, Any]] = {
        **Descent._later,
        "amsgrad": False,
        "decoupled_weight_decay": False,
    }
    _kind: ClassVar[dict[str, bool]] = {"decoupled_weight_decay": False}
    _names: ClassVar[tuple[str, ...]] = (
        "step",
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
    )

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            **self._kind,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        betas = group.get("betas")
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(
                f"betas must be two numbers in [0, 1), got {_check.describe(betas)}"
            )
        for i, beta in enumerate(betas):
            _check.real(f"betas[{i}]", beta, "[0, 1)")

    def _decay(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor:
        if not self._kind["decoupled_weight_decay"]:
            return super()._decay(theta, g, group)
        theta.mul_(1 - group["lr"] * group["weight_decay"])
        return g

    def _memory(self, group: dict[str, Any]) -> list[str]:
        return ["step", "exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]

    def _update(self, theta: Tensor, g: Tensor, group: dict[str, Any]) -> Tensor:
        state, (beta1, beta2) = begun(self, theta, group), group["betas"]
        state["step"] += 1
        t = state["step"].item()
        m = state["exp_avg"].lerp_(g, 1 - beta1)
        v = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        if group["amsgrad"]:
            v = torch.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        scale = v.sqrt().div_((1 - beta2**t) ** 0.5).add_(group["eps"])
        theta.addcdiv_(m, scale, value=-group["lr"] / (1 - beta1**t))
        return scale


class AdamW(Adam):
    r"""Adam with weight decay beside the gradient instead of in it.

    .. math:: \theta_t = (1 - \eta \lambda)\, \theta_{t-1} - \eta\, \frac{\hat
        m_t}{\sqrt{\hat v_t} + \epsilon}

    Args:
        params: parameters, or parameter groups.
        lr: learning rate eta, at least 0; a number, or a tensor of one.
        betas: beta_1 and beta_2, each in [0, 1).
        eps: epsilon, at least 0.
        weight_decay: lambda, at least 0.
        amsgrad: divide by the largest v so far.
        maximize: climb instead of descend.

    Raises:
        TypeError: if a hyperparameter is not a number, a parameter is complex, or a
            gradient is sparse.
        ValueError: if a hyperparameter is out of range.

    Source:
        Loshchilov & Hutter (2019), arXiv:1711.05101, algorithm 2. The state is that of
        ``torch.optim.AdamW``.

    Example:
        >>> theta = torch.nn.Parameter(torch.tensor([1.0, -3.0]))
        >>> optimizer = AdamW([theta], lr=0.1, weight_decay=0.5)
        >>> theta.grad = torch.zeros(2)
        >>> optimizer.step()
        >>> theta.detach()
        tensor([ 0.9500, -2.8500])
    """

    _kind: ClassVar[dict[str, bool]] = {"decoupled_weight_decay": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a saved state; one of Adam goes on with the decay of this rule."""
        for group in state["param_groups"]:
            group |= self._kind
        super().__setstate__(state)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad=amsgrad, maximize=maximize
        )
