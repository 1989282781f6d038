"""The training loop that all chapters share.

Started by ``torchrun``, the same call trains on several processes: each takes its share
of every batch, and the gradients and losses are those of one process (layers that mix
the examples of a batch, as batch norm does, aside).
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm import tqdm

from dlref import _check
from dlref.train.batches import Data, generators_of, length, set_epoch, weight_of
from dlref.train.callbacks import Callback, History, State
from dlref.train.checkpoint import resume, save
from dlref.train.evaluation import Loss, Noted, check_metrics, evaluate
from dlref.train.processes import Share, batches_of, join
from dlref.train.step import Step, train_epoch

__all__ = ["fit"]


def fit(
    model: nn.Module,
    loss: Loss,
    train: Data,
    valid: Data | None = None,
    *,
    optimizer: Optimizer,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
    drop_last: bool = False,
    metrics: Mapping[str, Loss] | None = None,
    scheduler: LRScheduler | None = None,
    interval: str = "epoch",
    max_norm: float | None = None,
    clip_value: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | Path | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    num_workers: int = 0,
) -> History:
    """Train ``model`` in place and return its history.

    A bar with the loss and the rate appears on a terminal when training takes longer
    than two seconds.

    Args:
        model: its output for a batch of inputs is what ``loss`` takes. Layers that were
            put in evaluation mode, in a model that is in training mode, stay so.
        loss: mean over the batch, from (output, target). For a cross-entropy of torch
            with class weights or ignored targets, means over several batches weigh each
            by what its own mean was divided by; for other losses, by its examples.
        train: ``(inputs, targets)`` tensors of one length, a map-style Dataset of such
            pairs, or a DataLoader. Of a longer tuple the last are the targets and the
            others arguments of the model; of a dictionary, the targets are ``labels``
            (or ``label``, ``targets``, ``target``, ``y``) and the others arguments by
            name.
        valid: the same, evaluated after each epoch; adds ``valid_`` columns to the
            history.
        optimizer: made from the model's parameters; also one that wants a function to
            call, such as LBFGS.
        epochs: how often to go through ``train``; with a checkpoint, the number in all.
        steps: instead of epochs, how many batches to train on in all; the last epoch
            ends where they do, and counts as one.
        batch_size: examples a step, over all processes together; the last batch of an
            epoch may be smaller. A DataLoader has its own.
        drop_last: leave that smaller batch out.
        metrics: name to function of (output, target), mean over the batch; evaluated on
            ``valid``.
        scheduler: of the optimizer's rates; one whose ``step`` takes ``metrics``, such
            as ReduceLROnPlateau, is given the loss on ``valid``.
        interval: when the scheduler steps: after each ``"epoch"`` or each ``"step"``.
        max_norm: length to which the gradient of all parameters together is shortened
            before each step; by default it is left as it is.
        clip_value: size to which each component of the gradients is cut.
        callbacks: called after each epoch with the :class:`State`.
        checkpoint: file to write after each epoch; if it is there already, training
            goes on from it, to the same numbers as without the interruption. One of
            another model, optimizer, scheduler or callback is refused, and nothing
            changed.
        seed: fixes the order of the examples, epoch by epoch.
        device: where to train; by default :func:`dlref.device.device`, under torchrun
            the process's own GPU.
        num_workers: processes that load a Dataset's examples.

    Returns:
        One value an epoch in each column: ``loss`` (mean over the examples as they were
        trained on), and for ``valid`` ``valid_loss`` and ``valid_NAME`` for each
        metric.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the data is empty or of unequal lengths, a number is out of
            range, a scheduler has no loss to look at, or the checkpoint is broken or of
            another run.
        FloatingPointError: if the loss is no longer finite; it names epoch and batch.
            On the CPU the step is then not taken; on other devices, which would have to
            be waited for at every step, it is said within a hundred steps.

    Source:
        Robbins & Monro (1951) for the algorithm; Li et al. (2020), arXiv:2006.15704,
        for several processes.

    Example:
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> model = nn.Linear(1, 1)
        >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> history = fit(
        ...     model, nn.functional.mse_loss, (x, 3 * x), optimizer=sgd, epochs=60
        ... )
        >>> round(model.weight.item(), 2)
        3.0
    """
    _check_fit(model, loss, optimizer, callbacks)
    size = length("train", train)
    if valid is not None:
        length("valid", valid)
    batch_size = _check.integer("batch_size", batch_size, 1)
    seed = _check.integer("seed", seed, 0)
    num_workers = _check.integer("num_workers", num_workers, 0)
    check_metrics(metrics)
    wants_loss = _check_schedule(scheduler, interval, valid)
    an_epoch = _batches_in(train, size, batch_size, drop_last)
    total = steps_of(epochs, steps, an_epoch)
    rank, world, device = join(device)
    model.to(device)
    state = State(0, model, optimizer)
    path = None if checkpoint is None else Path(checkpoint)
    network = DistributedDataParallel(model) if world > 1 else model
    every_step = scheduler if interval == "step" else None
    step = Step(network, loss, optimizer, every_step, max_norm, clip_value)
    weigh = weight_of(loss.loss if isinstance(loss, Noted) else loss, train)
    each = 1 if isinstance(train, DataLoader) else batch_size
    batches = _Batches(train, size, each, an_epoch, total, seed, num_workers, weigh)
    generators = generators_of(train)
    still = [m for m in model.modules() if not m.training] if model.training else []

    bar = tqdm(total=total, unit="batch", disable=None if rank == 0 else True, delay=2)
    examples = {"metrics": metrics, "batch_size": batch_size, "device": device}
    with bar, _attended(callbacks, state):
        if path is not None and path.exists():
            resume(path, state, scheduler, callbacks, device, generators)
        bar.update(state.steps)
        while state.steps < total and not state.stop:
            network.train()
            for module in still:
                module.training = False
            mean = train_epoch(step, batches.of(state, device), state, bar)
            state.epoch += 1
            row = {"loss": mean.over_processes()}
            if valid is not None:
                found = evaluate(model, loss, valid, **examples)
                row |= {f"valid_{name}": value for name, value in found.items()}
            for name, value in row.items():
                state.history.setdefault(name, []).append(value)
            if scheduler is not None and interval == "epoch":
                told: list[Any] = [row["valid_loss"]] if wants_loss else []
                scheduler.step(*told)
            for callback in callbacks:
                callback(state)
            if path is not None:
                save(path, state, scheduler, callbacks, generators)
    return state.history


class _Batches(NamedTuple):
    """What the batches of each epoch are made from."""

    data: Data
    size: int
    batch_size: int
    an_epoch: int
    total: int
    seed: int
    num_workers: int
    weigh: Any

    def of(
        self, state: State, device: torch.device
    ) -> Iterator[tuple[Share, Any, Any]]:
        """Those of the next epoch, this process's part of each."""
        set_epoch(self.data, state.epoch)
        generator = torch.Generator().manual_seed(self.seed + state.epoch)
        order = torch.randperm(self.size, generator=generator).split(self.batch_size)
        chosen = order[: min(self.an_epoch, self.total - state.steps)]
        return batches_of(
            self.data, chosen, device, self.num_workers, generator, self.weigh
        )


@contextmanager
def _attended(callbacks: Sequence[Callback], state: State) -> Iterator[None]:
    """Tell the callbacks that training begins and that it has ended, however it did."""
    for callback in callbacks:
        getattr(callback, "begin", _nothing)(state)
    try:
        yield
    finally:
        for callback in callbacks:
            getattr(callback, "finish", _nothing)(state)


def _nothing(_: State) -> None:
    pass


def _batches_in(data: Data, size: int, batch_size: int, drop_last: bool) -> int:
    """How many batches an epoch has."""
    if isinstance(data, DataLoader):
        return size
    if drop_last and size < batch_size:
        raise ValueError(
            f"batch_size must be at most the {size} examples of train where the last "
            f"batch is dropped, got {batch_size}"
        )
    return size // batch_size if drop_last else -(-size // batch_size)


def _check_schedule(
    scheduler: LRScheduler | None, interval: str, valid: Data | None
) -> bool:
    """Whether the scheduler is to be told the loss on the validation data."""
    _check.one_of("interval", interval, ("epoch", "step"))
    if scheduler is None:
        return False
    if not isinstance(scheduler, LRScheduler):
        raise TypeError(
            "scheduler must be a torch.optim.lr_scheduler.LRScheduler, got "
            f"{_check.describe(scheduler)}"
        )
    wants_loss = "metrics" in inspect.signature(scheduler.step).parameters
    if wants_loss and (valid is None or interval == "step"):
        raise ValueError(
            f"scheduler {type(scheduler).__name__} needs valid, whose loss it looks at "
            "after each epoch"
        )
    return wants_loss


def steps_of(epochs: int | None, steps: int | None, an_epoch: int) -> int:
    """How many batches to train on."""
    if (epochs is None) == (steps is None):
        raise ValueError(
            f"epochs or steps must be given, and only one, got {epochs} and {steps}"
        )
    if steps is not None:
        return _check.integer("steps", steps, 1)
    return _check.integer("epochs", epochs, 1) * an_epoch


def _check_fit(model: Any, loss: Any, optimizer: Any, callbacks: Any) -> None:
    for name, value, kind in (
        ("model", model, nn.Module),
        ("optimizer", optimizer, Optimizer),
    ):
        if not isinstance(value, kind):
            raise TypeError(
                f"{name} must be a {kind.__module__}.{kind.__name__}, got "
                f"{_check.describe(value)}"
            )
    for name, value in (
        ("loss", loss),
        *(("callbacks", callback) for callback in callbacks),
    ):
        if not callable(value):
            raise TypeError(f"{name} must be callable, got {_check.describe(value)}")
    ours = {id(p) for p in model.parameters()}
    if not any(
        id(p) in ours for group in optimizer.param_groups for p in group["params"]
    ):
        raise ValueError("optimizer must hold parameters of model, got none of them")
