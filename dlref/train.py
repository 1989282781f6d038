"""The training loop that all chapters share: progress, history, callbacks, checkpoints, several processes.

Started by ``torchrun``, the same call trains on several processes: each takes its share of every batch, and the
gradients and losses are those of one process (layers that mix the examples of a batch, as batch norm does, aside).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset
from tqdm import tqdm

from dlref import _check
from dlref._callbacks import Callback, EarlyStopping, History, Snapshots, State
from dlref._checkpoint import resume, save
from dlref._processes import Data, Mean, batches_of, join
from dlref.device import device as default_device

__all__ = ["EarlyStopping", "History", "Snapshots", "State", "accuracy", "evaluate", "evaluating", "fit", "predict"]

Loss = Callable[[Any, Any], Tensor]


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Share of examples whose largest output is the target class.

    Args:
        output: (B, classes, ...) scores.
        target: (B, ...) class indices.

    Raises:
        ValueError: if the shapes do not belong together.

    Source:
        Zero-one loss, one minus its mean.

    Example:
        >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        tensor(0.5000)
    """
    predicted = output.argmax(1)
    if predicted.shape != target.shape:
        raise ValueError(f"target must have shape {tuple(predicted.shape)}, got {_check.describe(target)}")
    return (predicted == target).float().mean()


def fit(
    model: nn.Module,
    loss: Loss,
    train: Data,
    valid: Data | None = None,
    *,
    optimizer: Optimizer,
    epochs: int,
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

    A bar with the loss and the rate appears on a terminal when training takes longer than two seconds.

    Args:
        model: its output for a batch of inputs is what ``loss`` takes.
        loss: mean over the batch, from (output, target).
        train: ``(inputs, targets)`` tensors of one length, or a map-style Dataset of such pairs.
        valid: the same, evaluated after each epoch; adds ``valid_`` columns to the history.
        optimizer: made from the model's parameters.
        epochs: how often to go through ``train``; with a checkpoint, the number in all.
        batch_size: examples a step, over all processes together; the last batch of an epoch may be smaller.
        metrics: name to function of (output, target), mean over the batch; evaluated on ``valid``.
        scheduler: stepped once an epoch.
        callbacks: called after each epoch with the :class:`State`.
        checkpoint: file to write after each epoch; if it is there already, training goes on from it, to the same
            numbers as without the interruption.
        seed: fixes the order of the examples, epoch by epoch.
        device: where to train; by default :func:`dlref.device.device`, under torchrun the process's own GPU.
        num_workers: processes that load a Dataset's examples.

    Returns:
        One value an epoch in each column: ``loss`` (mean over the examples as they were trained on), and for
        ``valid`` ``valid_loss`` and ``valid_NAME`` for each metric.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if the data is empty or of unequal lengths, a number is out of range, or the checkpoint is
            broken or of another model.
        FloatingPointError: if the loss is no longer finite; it names epoch and batch.

    Source:
        Robbins & Monro (1951) for the algorithm; Li et al. (2020), arXiv:2006.15704, for several processes.

    Example:
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> model = nn.Linear(1, 1)
        >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> history = fit(model, nn.functional.mse_loss, (x, 3 * x), optimizer=sgd, epochs=60)
        >>> round(model.weight.item(), 2)
        3.0
    """
    _check_fit(model, loss, optimizer, callbacks)
    size = _length("train", train)
    if valid is not None:
        _length("valid", valid)
    epochs, batch_size = _check.integer("epochs", epochs, 1), _check.integer("batch_size", batch_size, 1)
    seed, num_workers = _check.integer("seed", seed, 0), _check.integer("num_workers", num_workers, 0)
    rank, world, device = join(device)
    model.to(device)
    state = State(0, model, optimizer)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        resume(path, state, scheduler, callbacks, device)
    network = DistributedDataParallel(model) if world > 1 else model

    bar = tqdm(total=epochs * -(-size // batch_size), unit="batch", disable=None if rank == 0 else True, delay=2)
    bar.update(state.epoch * -(-size // batch_size))
    with bar:
        while state.epoch < epochs and not state.stop:
            order = torch.randperm(size, generator=torch.Generator().manual_seed(seed + state.epoch))
            mean = _train_epoch(network, loss, train, order.split(batch_size), state, device, num_workers, bar)
            state.epoch += 1
            row = {"loss": mean}
            if valid is not None:
                found = evaluate(model, loss, valid, metrics=metrics, batch_size=batch_size, device=device)
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
    for number, (share, inputs, targets) in enumerate(batches_of(data, batches, device, num_workers), 1):
        state.optimizer.zero_grad()
        value = loss(network(inputs), targets)
        if not torch.isfinite(value):
            raise FloatingPointError(f"loss is {value.item()} at epoch {state.epoch + 1}, batch {number}")
        # DistributedDataParallel averages over processes; this weight makes that the mean over the whole batch
        (value * share.weight).backward()
        state.optimizer.step()
        mean.add(value.detach(), share.count)
        bar.update()
        bar.set_postfix(loss=f"{value.item():.4f}", refresh=False) if not bar.disable else None
    return mean.over_processes()


def evaluate(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    metrics: Mapping[str, Loss] | None = None,
    batch_size: int = 256,
    device: torch.device | None = None,
) -> dict[str, float]:
    """Mean loss and metrics over ``data``, in evaluation mode, without gradients.

    Args:
        model: left in the mode it was in.
        loss, metrics, device: as in :func:`fit`.
        data: ``(inputs, targets)`` or a Dataset.
        batch_size: examples at a time.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, or the data empty or of unequal lengths.

    Source:
        This book.

    Example:
        >>> x, y = torch.eye(2), torch.tensor([0, 1])
        >>> evaluate(nn.Identity(), nn.functional.cross_entropy, (x, y), metrics={"accuracy": accuracy})["accuracy"]
        1.0
    """
    size, batch_size = _length("data", data), _check.integer("batch_size", batch_size, 1)
    _, _, device = join(device)
    functions = {"loss": loss, **(metrics or {})}
    means = {name: Mean(device) for name in functions}
    model.to(device)
    with evaluating(model):
        for share, inputs, targets in batches_of(data, torch.arange(size).split(batch_size), device):
            output = model(inputs)
            for name, function in functions.items():
                means[name].add(function(output, targets), share.count)
    return {name: mean.over_processes() for name, mean in means.items()}


def predict(model: nn.Module, inputs: Tensor, *, batch_size: int = 256, device: torch.device | None = None) -> Tensor:
    """Outputs of ``model`` for all inputs, in evaluation mode, without gradients, on the CPU.

    Args:
        model: left in the mode it was in.
        inputs: (N, ...) examples.
        batch_size, device: examples at a time, and where to compute.

    Raises:
        TypeError, ValueError: if ``inputs`` is no tensor or empty, or ``batch_size`` no positive integer.

    Source:
        This book.

    Example:
        >>> predict(nn.Linear(3, 2), torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a tensor, got {_check.describe(inputs)}")
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"inputs must hold at least one example, got {_check.describe(inputs)}")
    batch_size = _check.integer("batch_size", batch_size, 1)
    device = default_device() if device is None else device
    model.to(device)
    with evaluating(model):
        return torch.cat([model(part.to(device)).cpu() for part in inputs.split(batch_size)])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each module is back in its own mode.

    Args:
        model: the network.

    Source:
        This book.

    Example:
        >>> model = nn.Dropout()
        >>> with evaluating(model):
        ...     model.training
        False
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _length(name: str, data: Data) -> int:
    if isinstance(data, tuple):
        if len(data) != 2 or not all(isinstance(part, Tensor) and part.ndim for part in data):
            got = ", ".join(map(_check.describe, data))
            raise TypeError(f"{name} must be a pair of tensors (inputs, targets) or a Dataset, got ({got})")
        if len(data[0]) != len(data[1]):
            raise ValueError(f"{name} must hold as many inputs as targets, got {len(data[0])} and {len(data[1])}")
        size = len(data[0])
    elif isinstance(data, Dataset) and hasattr(data, "__len__"):
        size = len(data)  # type: ignore[arg-type]
    else:
        raise TypeError(f"{name} must be a pair of tensors (inputs, targets) or a Dataset, got {_check.describe(data)}")
    if size == 0:
        raise ValueError(f"{name} must not be empty")
    return size


def _check_fit(model: Any, loss: Any, optimizer: Any, callbacks: Any) -> None:
    for name, value, kind in (("model", model, nn.Module), ("optimizer", optimizer, Optimizer)):
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be a {kind.__module__}.{kind.__name__}, got {_check.describe(value)}")
    for name, value in (("loss", loss), *(("callbacks", callback) for callback in callbacks)):
        if not callable(value):
            raise TypeError(f"{name} must be callable, got {_check.describe(value)}")
    ours = {id(p) for p in model.parameters()}
    if not any(id(p) in ours for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("optimizer must hold parameters of model, got none of them")
