"""What a training loop calls after every epoch."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import nn
from torch.optim import Optimizer

from dlref import _check
from dlref.train.names import load_weights

__all__ = ["Callback", "EarlyStopping", "History", "Snapshots", "State"]

History = dict[str, list[float]]
"""Column name (``loss``, ``valid_loss``, ...) to one value an epoch."""


@dataclass
class State:
    """What a callback sees after every epoch, and what it may ask for.

    Attributes:
        epoch: epochs finished, counted from 1.
        model: the model itself, also where it is wrapped for several processes.
        optimizer: the optimiser.
        history: all columns so far.
        stop: a callback sets it to end the training after this epoch.
        steps: batches trained on.

    Source:
        This book.

    Example:
        >>> def until_good(state):
        ...     state.stop = state.history["loss"][-1] < 0.1
    """

    epoch: int
    model: nn.Module
    optimizer: Optimizer
    history: History = field(default_factory=dict)
    stop: bool = False
    steps: int = 0


@runtime_checkable
class Callback(Protocol):
    """Any function of the state, called after every epoch of training.

    One with ``state_dict`` and ``load_state_dict`` is kept in checkpoints. A method
    ``begin(state)`` is called before training, before a checkpoint is read, and
    ``finish(state)`` when it has ended, however it did.

    Source:
        This book.

    Example:
        >>> isinstance(EarlyStopping(), Callback)
        True
    """

    def __call__(self, state: State, /) -> None:
        """See what training has come to."""


class EarlyStopping:
    """Stop when a column of the history no longer improves.

    However training ends, the best weights are restored then; the next training starts
    afresh.

    Args:
        patience: epochs without improvement to wait for, at least 1.
        monitor: the column to watch.
        mode: ``"min"`` if small is good, ``"max"`` if large is.
        restore: put the best weights back when training has ended.
        min_delta: by how much a value must be better to count as better, at least 0.

    Raises:
        TypeError: if ``patience`` is not an integer, or ``min_delta`` no number.
        ValueError: if ``patience`` is below 1, ``mode`` neither of the two, or
            ``min_delta`` negative.
        KeyError: in training, if the history has no column ``monitor``.

    Source:
        Prechelt (1998), "Early stopping - but when?", criterion UP with strips of one
        epoch.

    Example:
        >>> EarlyStopping(patience=3).best
        inf
    """

    def __init__(
        self,
        patience: int = 5,
        *,
        monitor: str = "valid_loss",
        mode: str = "min",
        restore: bool = True,
        min_delta: float = 0.0,
    ) -> None:
        self.patience = _check.integer("patience", patience, 1)
        self.sign = {"min": 1, "max": -1}[_check.one_of("mode", mode, ("min", "max"))]
        self.monitor, self.restore = monitor, restore
        self.min_delta = _check.real("min_delta", min_delta, "[0, inf)")
        self.best, self.best_epoch = self.sign * math.inf, 0
        self.weights: dict[str, Any] = {}

    def begin(self, state: State) -> None:
        """Forget an earlier training."""
        del state
        self.best, self.best_epoch = self.sign * math.inf, 0
        self.weights = {}

    def __call__(self, state: State) -> None:
        """Compare this epoch with the best so far."""
        if self.monitor not in state.history:
            raise KeyError(
                f"monitor {self.monitor!r} is not among the columns "
                f"{sorted(state.history)}"
            )
        value = state.history[self.monitor][-1]
        if self.sign * value < self.sign * self.best - self.min_delta:
            self.best, self.best_epoch = value, state.epoch
            self.weights = copy.deepcopy(state.model.state_dict())
        elif state.epoch - self.best_epoch >= self.patience:
            state.stop = True

    def finish(self, state: State) -> None:
        """Put the best weights back."""
        if self.restore and self.weights:
            load_weights(state.model, self.weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "weights": self.weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where a checkpoint left off."""
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self.weights = dict(state["weights"])


class Snapshots:
    """Keep a copy of the weights after the given epochs.

    In :attr:`weights`, epoch to ``state_dict``.

    Args:
        epochs: the epochs after which to copy, counted from 1.

    Raises:
        TypeError: if an epoch is not an integer.
        ValueError: if an epoch is below 1.

    Source:
        This book.

    Example:
        >>> Snapshots([1, 2, 5]).epochs
        [1, 2, 5]
    """

    def __init__(self, epochs: Sequence[int]) -> None:
        self.epochs = [_check.integer("epochs", e, 1) for e in epochs]
        self.weights: dict[int, dict[str, Any]] = {}

    def begin(self, state: State) -> None:
        """Forget an earlier training."""
        del state
        self.weights = {}

    def __call__(self, state: State) -> None:
        """Copy the weights if this epoch was asked for."""
        if state.epoch in self.epochs:
            self.weights[state.epoch] = copy.deepcopy(state.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where a checkpoint left off."""
        self.weights = dict(state["weights"])
