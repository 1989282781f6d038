"""Schedules: how the learning rate, and the momentum, change while a network trains."""

import math
from typing import Any, SupportsFloat

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlref import _check

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "HalveOnRise",
    "InverseTimeDecay",
    "MomentumSchedule",
    "Schedule",
    "StepDecay",
]


class _Resumable(LRScheduler):
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state, whether the optimiser's was loaded before or not.

        The rates of the optimiser are those of the state afterwards.
        """
        own, groups = self.state_dict(), self.optimizer.param_groups
        if state_dict.keys() != own.keys():
            raise ValueError(
                f"state_dict must be of a {type(self).__name__}, which holds "
                f"{', '.join(own)}, got {', '.join(map(str, state_dict))}"
            )
        if len(state_dict["_last_lr"]) != len(groups):
            raise ValueError(
                f"state_dict must have a rate for each of {len(groups)} groups, got "
                f"{len(state_dict['_last_lr'])}"
            )
        super().load_state_dict(state_dict)
        for group, first, now in zip(groups, self.base_lrs, self._last_lr, strict=True):
            group["initial_lr"] = first
            _set_rate(group, now)


def _set_rate(group: dict[str, Any], lr: Any) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(float(lr))
    else:
        group["lr"] = lr


class Schedule(_Resumable):
    r"""A learning rate that is a function of time.

    By itself, constant after a linear warm-up.

    .. math:: \eta_t = \frac{t + 1}{w + 1}\, \eta_0 \quad (t < w), \qquad \eta_t = r(t -
        w, \eta_0) \quad (t \ge w)

    Time is counted in calls of ``step``: in epochs or in batches, whichever the caller
    chooses. The rate is a function of time alone: one that was changed by hand is set
    again at the next step.

    Args:
        optimizer: its groups' rates, as they are now, are :math:`\eta_0`.
        warmup: w, how many steps before the full rate.
        last_epoch: the last t that has been; -1 starts.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        Goyal et al. (2017), arXiv:1706.02677, section 2.2, for the warm-up. The
        interface is that of ``torch.optim.lr_scheduler.LRScheduler``.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0)
        >>> schedule, rates = Schedule(sgd, warmup=3), []
        >>> for _ in range(5):
        ...     rates.append(sgd.param_groups[0]["lr"])
        ...     sgd.step()
        ...     schedule.step()
        >>> rates
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, *, warmup: int = 0, last_epoch: int = -1
    ) -> None:
        self.warmup = _check.integer("warmup", warmup, 0)
        _check.integer("last_epoch", last_epoch, -1)
        if last_epoch == -1 and getattr(optimizer, "_opt_called", False):
            # after another schedule; one beside it, made before any step, shares its
            for group in optimizer.param_groups:
                group["initial_lr"] = _copy(group["lr"])
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """Rates of all groups at the present step."""
        t = self.last_epoch
        self.base_lrs = [_first_rate(group) for group in self.optimizer.param_groups]
        if t < self.warmup:
            return [(t + 1) / (self.warmup + 1) * lr for lr in self.base_lrs]
        return [self.rate(t - self.warmup, lr) for lr in self.base_lrs]

    def rate(self, t: int, lr: Any) -> Any:  # noqa: ARG002  the interface of the schedules below
        """Learning rate t steps after the warm-up.

        The group begins with ``lr``.
        """
        return lr


def _first_rate(group: dict[str, Any]) -> Any:
    """What a group began with; for one that was added later, what it came with."""
    return group.setdefault("initial_lr", _copy(group["lr"]))


def _copy(lr: Any) -> Any:
    return lr.clone() if isinstance(lr, Tensor) else lr


class StepDecay(Schedule):
    r"""A rate that falls by a factor every so many steps.

    .. math:: \eta_t = \gamma^{\lfloor t / s \rfloor}\, \eta_0

    Args:
        optimizer: whose rates to set.
        step_size: s, at least 1.
        gamma: the factor, in (0, 1].
        warmup: steps before the full rate, see :class:`Schedule`.
        last_epoch: the last t that has been; -1 starts.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        The practice of Krizhevsky, Sutskever & Hinton (2012) and He et al. (2016);
        ``torch.optim.lr_scheduler.StepLR``.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0)
        >>> [StepDecay(sgd, 2, 0.5).rate(t, 8.0) for t in range(5)]
        [8.0, 8.0, 4.0, 4.0, 2.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        step_size: int,
        gamma: float = 0.1,
        *,
        warmup: int = 0,
        last_epoch: int = -1,
    ) -> None:
        self.step_size = _check.integer("step_size", step_size, 1)
        self.gamma = _check.real("gamma", gamma, "(0, 1]")
        super().__init__(optimizer, warmup=warmup, last_epoch=last_epoch)

    def rate(self, t: int, lr: Any) -> Any:
        """Learning rate t steps after the warm-up.

        The group begins with ``lr``.
        """
        return self.gamma ** (t // self.step_size) * lr


class ExponentialDecay(Schedule):
    r"""A rate that falls by the same factor at every step.

    .. math:: \eta_t = \gamma^t\, \eta_0

    Args:
        optimizer: whose rates to set.
        gamma: the factor, in (0, 1].
        warmup: steps before the full rate, see :class:`Schedule`.
        last_epoch: the last t that has been; -1 starts.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        ``torch.optim.lr_scheduler.ExponentialLR``.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0)
        >>> ExponentialDecay(sgd, 0.5).rate(3, 8.0)
        1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        gamma: float,
        *,
        warmup: int = 0,
        last_epoch: int = -1,
    ) -> None:
        self.gamma = _check.real("gamma", gamma, "(0, 1]")
        super().__init__(optimizer, warmup=warmup, last_epoch=last_epoch)

    def rate(self, t: int, lr: Any) -> Any:
        """Learning rate t steps after the warm-up.

        The group begins with ``lr``.
        """
        return self.gamma**t * lr


class InverseTimeDecay(Schedule):
    r"""A rate that falls like one over time.

    .. math:: \eta_t = \frac{\eta_0}{1 + \delta t}

    Args:
        optimizer: whose rates to set.
        decay_rate: delta, at least 0.
        warmup: steps before the full rate, see :class:`Schedule`.
        last_epoch: the last t that has been; -1 starts.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        Robbins & Monro (1951), Annals of Mathematical Statistics 22(3).

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0)
        >>> InverseTimeDecay(sgd, 1.0).rate(3, 8.0)
        2.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        decay_rate: float,
        *,
        warmup: int = 0,
        last_epoch: int = -1,
    ) -> None:
        self.decay_rate = _check.real("decay_rate", decay_rate, "[0, inf)")
        super().__init__(optimizer, warmup=warmup, last_epoch=last_epoch)

    def rate(self, t: int, lr: Any) -> Any:
        """Learning rate t steps after the warm-up.

        The group begins with ``lr``.
        """
        return lr / (1 + self.decay_rate * t)


class CosineDecay(Schedule):
    r"""A rate that falls along half a cosine, and stays where it ends.

    .. math:: \eta_t = \eta_{\min} + \tfrac12 (\eta_0 - \eta_{\min}) (1 + \cos(\pi
        \min(t, T_{\max}) / T_{\max}))

    Args:
        optimizer: whose rates to set.
        T_max: steps until the end, the warm-up not counted, at least 1.
        eta_min: the rate at the end, at least 0.
        warmup: steps before the full rate, see :class:`Schedule`.
        last_epoch: the last t that has been; -1 starts.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        Loshchilov & Hutter (2017), arXiv:1608.03983, equation 5. Differs: no restarts;
        and from ``torch.optim.lr_scheduler.CosineAnnealingLR``, which climbs again
        after ``T_max``.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0)
        >>> [round(CosineDecay(sgd, 4).rate(t, 8.0), 3) for t in (0, 2, 4, 9)]
        [8.0, 4.0, 0.0, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,
        eta_min: float = 0.0,
        *,
        warmup: int = 0,
        last_epoch: int = -1,
    ) -> None:
        self.T_max = _check.integer("T_max", T_max, 1)
        self.eta_min = _check.real("eta_min", eta_min, "[0, inf)")
        super().__init__(optimizer, warmup=warmup, last_epoch=last_epoch)

    def rate(self, t: int, lr: Any) -> Any:
        """Learning rate t steps after the warm-up.

        The group begins with ``lr``.
        """
        share = (1 + math.cos(math.pi * min(t, self.T_max) / self.T_max)) / 2
        return self.eta_min + (lr - self.eta_min) * share


class HalveOnRise(_Resumable):
    """Halve the rate when the validation loss is higher than it was the last time.

    Args:
        optimizer: whose rates to set.
        factor: by what to multiply, in (0, 1).
        min_lr: no rate is taken below this; at least 0.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or out of range.

    Source:
        A rule of courses; ``torch.optim.lr_scheduler.ReduceLROnPlateau`` compares with
        the best, and has patience.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0)
        >>> schedule = HalveOnRise(sgd)
        >>> for loss in (3.0, 2.0, 2.5, 2.4, 2.6):
        ...     schedule.step(loss)
        >>> schedule.get_last_lr()
        [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 0.5, min_lr: float = 0.0
    ) -> None:
        self.factor = _check.real("factor", factor, "(0, 1)")
        self.min_lr = _check.real("min_lr", min_lr, "[0, inf)")
        self.before = math.inf
        super().__init__(optimizer)

    def step(self, metrics: SupportsFloat | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  as ReduceLROnPlateau
        """Look at a loss, and halve the rates if it has risen.

        Without one, nothing changes.
        """
        rises = False
        if metrics is not None:
            loss = float(metrics)
            rises = not loss <= self.before  # one that is no number has risen
            self.before = self.before if math.isnan(loss) else loss
        groups = self.optimizer.param_groups
        self.base_lrs = [_first_rate(group) for group in groups]
        for group in groups if rises else ():
            lr = float(group["lr"])
            _set_rate(group, max(self.factor * lr, min(self.min_lr, lr)))
        self.last_epoch += 1
        self._last_lr = [_copy(group["lr"]) for group in groups]


class MomentumSchedule(_Resumable):
    r"""Momentum that rises in steps to a maximum; the learning rate is left alone.

    .. math:: \mu_t = \min\left(1 - \frac{1}{2\,(\lfloor t / s \rfloor + 1)},\
        \mu_{\max}\right)

    Args:
        optimizer: whose ``momentum``, or first of ``betas``, to set.
        max_momentum: the most, in [0.5, 1).
        interval: s, steps between two values, at least 1.
        last_epoch: the last t that has been; -1 starts.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or out of range, or a
            group has no momentum.

    Source:
        Sutskever, Martens, Dahl & Hinton (2013), ICML, equation 5.

    Example:
        >>> import torch
        >>> sgd = torch.optim.SGD([torch.ones(1)], lr=1.0, momentum=0.9)
        >>> schedule, used = MomentumSchedule(sgd, 0.9, interval=1), []
        >>> for _ in range(6):
        ...     used.append(round(sgd.param_groups[0]["momentum"], 3))
        ...     sgd.step()
        ...     schedule.step()
        >>> used
        [0.5, 0.75, 0.833, 0.875, 0.9, 0.9]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_momentum: float = 0.99,
        *,
        interval: int = 250,
        last_epoch: int = -1,
    ) -> None:
        self.max_momentum = _check.real("max_momentum", max_momentum, "[0.5, 1)")
        self.interval = _check.integer("interval", interval, 1)
        for i, group in enumerate(optimizer.param_groups):
            if "betas" not in group and not group.get("momentum"):
                raise ValueError(
                    f"optimizer must have momentum in each group, got none in group {i}"
                )
        super().__init__(optimizer, _check.integer("last_epoch", last_epoch, -1))

    def get_lr(self) -> list[Any]:
        """Set the momentum of all groups; the rates are what they were."""
        mu = min(1 - 0.5 / (self.last_epoch // self.interval + 1), self.max_momentum)
        self.base_lrs = [_first_rate(group) for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (mu, *group["betas"][1:])
            else:
                group["momentum"] = mu
        return [_copy(group["lr"]) for group in self.optimizer.param_groups]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; the momentum of the optimiser is set as well."""
        super().load_state_dict(state_dict)
        self.get_lr()
