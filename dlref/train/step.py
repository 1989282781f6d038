"""One step of training, and an epoch of them."""

import inspect
import math
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from dlref import _check
from dlref.train.batches import each, outputs
from dlref.train.callbacks import State
from dlref.train.evaluation import Loss
from dlref.train.processes import Mean, Share


class Step:
    """One step of training: outputs, loss, gradients, clipping, optimizer, schedule."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        max_norm: float | None,
        clip_value: float | None,
    ) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.scheduler = scheduler
        self.max_norm = (
            None if max_norm is None else _check.real("max_norm", max_norm, "[0, inf)")
        )
        self.clip_value = (
            None
            if clip_value is None
            else _check.real("clip_value", clip_value, "[0, inf)")
        )
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        self.asks = closure is not None and closure.default is inspect.Parameter.empty

    def __call__(self, share: Share, inputs: Any, targets: Any) -> Tensor:
        """Take the step; the loss before it."""

        def gradients() -> Tensor:
            self.optimizer.zero_grad()
            output = outputs(self.network, inputs)
            value = self.loss(output, targets) if share.count else _nothing(output)
            if value.device.type == "cpu" and not math.isfinite(value.item()):
                raise FloatingPointError(value.item())
            # DistributedDataParallel averages over processes; this weight makes that
            # the mean over the whole batch
            (value if share.weight == 1 else value * share.weight).backward()
            self._clip()
            return value

        if self.asks:
            value = self.optimizer.step(gradients)  # type: ignore[arg-type]
        else:
            value = gradients()
            self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return value.detach()  # type: ignore[union-attr]

    def _clip(self) -> None:
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(self.network.parameters(), self.clip_value)


def _nothing(output: Any) -> Tensor:
    """Zero, with a graph: a process without examples stays in step with the others."""
    parts: list[Tensor] = []
    each(lambda tensor: parts.append(tensor.sum() * 0), output)
    return torch.stack(parts).sum()


def train_epoch(
    step: Step,
    shares: Iterator[tuple[Share, Any, Any]],
    state: State,
    bar: tqdm,
) -> Mean:
    """Train on the batches of one epoch; the mean of their losses."""
    device = next(step.network.parameters()).device
    mean, shown = Mean(device), 0.0
    for number, (share, inputs, targets) in enumerate(shares, 1):
        state.steps += 1
        if share.void:
            continue  # all targets are ignored: there is no mean
        try:
            value = step(share, inputs, targets)
        except FloatingPointError as error:
            _not_finite(error.args[0], state, number)
        mean.add(value, share.count)
        if number % 100 == 0:
            _look(mean, state, device)
        bar.update()
        if not bar.disable and time.monotonic() - shown > 0.2:
            shown = time.monotonic()  # seldom: reading the loss makes a GPU wait
            bar.set_postfix(loss=f"{value.item():.4f}", refresh=False)
    _look(mean, state, device)
    return mean


def _look(mean: Mean, state: State, device: torch.device) -> None:
    found = None if device.type == "cpu" else mean.first_not_finite()
    if found is not None:
        _not_finite(found[1], state, found[0])


def _not_finite(value: float, state: State, number: int) -> NoReturn:
    raise FloatingPointError(
        f"loss is {value} at epoch {state.epoch + 1}, batch {number}"
    ) from None
