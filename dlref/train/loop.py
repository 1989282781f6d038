"""The training loop that all chapters share.

Started by ``torchrun``, the same call trains on several processes: each takes its share
of every batch, and the gradients and losses are those of one process (layers that mix
the examples of a batch, as batch norm does, aside).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from dlref import _check
from dlref.train.callbacks import Callback, History, State
from dlref.train.checkpoint import resume, save
from dlref.train.evaluation import Loss, evaluate, length
from dlref.train.processes import Data, Mean, batches_of, join

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
    metrics: Mapping[str, Loss] | None = None,
    scheduler: LRScheduler | None = None,
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
        model: its output for a batch of inputs is what ``loss`` takes.
        loss: mean over the batch, from (output, target).
        train: ``(inputs, targets)`` tensors of one length, or a map-style Dataset of
            such pairs.
        valid: the same, evaluated after each epoch; adds ``valid_`` columns to the
            history.
        optimizer: made from the model's parameters.
        epochs: how often to go through ``train``; with a checkpoint, the number in all.
        steps: instead of epochs, how many batches to train on in all; the last epoch
            ends where they do, and counts as one.
        batch_size: examples a step, over all processes together; the last batch of an
            epoch may be smaller.
        metrics: name to function of (output, target), mean over the batch; evaluated on
            ``valid``.
        scheduler: stepped once an epoch.
        callbacks: called after each epoch with the :class:`State`.
        checkpoint: file to write after each epoch; if it is there already, training
            goes on from it, to the same numbers as without the interruption.
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
            range, or the checkpoint is broken or of another model.
        FloatingPointError: if the loss is no longer finite; it names epoch and batch.

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
    an_epoch = -(-size // batch_size)
    total = steps_of(epochs, steps, an_epoch)
    rank, world, device = join(device)
    model.to(device)
    state = State(0, model, optimizer)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        resume(path, state, scheduler, callbacks, device)
    network = DistributedDataParallel(model) if world > 1 else model

    hidden = None if rank == 0 else True
    bar = tqdm(total=total, unit="batch", disable=hidden, delay=2)
    bar.update(min(state.epoch * an_epoch, total))
    examples = {"metrics": metrics, "batch_size": batch_size, "device": device}
    with bar:
        while state.epoch * an_epoch < total and not state.stop:
            generator = torch.Generator().manual_seed(seed + state.epoch)
            batches = torch.randperm(size, generator=generator).split(batch_size)
            batches = batches[: total - state.epoch * an_epoch]
            mean = _train_epoch(
                network, loss, train, batches, state, device, num_workers, bar
            )
            state.epoch += 1
            row = {"loss": mean}
            if valid is not None:
                found = evaluate(model, loss, valid, **examples)
                row |= {f"valid_{name}": value for name, value in found.items()}
            for name, value in row.items():
                state.history.setdefault(name, []).append(value)
            if scheduler is not None:
                scheduler.step()
            for callback in callbacks:
                callback(state)
            if path is not None and rank == 0:
                save(path, state, scheduler, callbacks)
    return state.history


def steps_of(epochs: int | None, steps: int | None, an_epoch: int) -> int:
    """How many batches to train on."""
    if (epochs is None) == (steps is None):
        raise ValueError(
            f"epochs or steps must be given, and only one, got {epochs} and {steps}"
        )
    if steps is not None:
        return _check.integer("steps", steps, 1)
    return _check.integer("epochs", epochs, 1) * an_epoch


def _train_epoch(
    network: nn.Module,
    loss: Loss,
    data: Data,
    batches: Sequence[Tensor],
    state: State,
    device: torch.device,
    num_workers: int,
    bar: tqdm,
) -> float:
    network.train()
    mean = Mean(device)
    for number, (share, inputs, targets) in enumerate(
        batches_of(data, batches, device, num_workers), 1
    ):
        state.optimizer.zero_grad()
        value = loss(network(inputs), targets)
        if not torch.isfinite(value):
            raise FloatingPointError(
                f"loss is {value.item()} at epoch {state.epoch + 1}, batch {number}"
            )
        # DistributedDataParallel averages over processes; this weight makes that the
        # mean over the whole batch
        (value * share.weight).backward()
        state.optimizer.step()
        mean.add(value.detach(), share.count)
        bar.update()
        bar.set_postfix(
            loss=f"{value.item():.4f}", refresh=False
        ) if not bar.disable else None
    return mean.over_processes()


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
