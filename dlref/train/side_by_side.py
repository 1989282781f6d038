"""One network for each of several seeds, all trained in the same products.

Shape legend: S seeds, B batch.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim import Optimizer

from dlref import _check
from dlref.device import device as default_device
from dlref.device import seed as set_seed
from dlref.train.batches import length
from dlref.train.callbacks import History
from dlref.train.evaluation import Loss, error_rate, evaluate
from dlref.train.loop import fit, steps_of
from dlref.train.repeat import Repeated, seeds_of

__all__ = ["SeedRun", "error_rates", "fit_seeds"]

Pair = tuple[Tensor, Tensor]


class SeedRun(NamedTuple):
    """A network that was trained from one seed, and how that went.

    Attributes:
        seed: what fixed its first weights and the order of its examples.
        model: the trained network.
        history: as :func:`dlref.train.fit` returns it.

    Source:
        See :func:`fit_seeds`.

    Example:
        >>> SeedRun(0, nn.Identity(), {"loss": [1.0]}).history
        {'loss': [1.0]}
    """

    seed: int
    model: nn.Module
    history: History


def fit_seeds(
    build: Callable[[], nn.Module],
    loss: Loss,
    train: Pair,
    valid: Pair | None = None,
    *,
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
    seeds: int | Sequence[int] = 5,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
    metrics: Mapping[str, Loss] | None = None,
    device: torch.device | None = None,
) -> list[SeedRun]:
    """Train one network a seed, side by side where the network allows it.

    Each run is that of ``seed(s)``, ``build()``, ``seed(s)`` once more and
    :func:`dlref.train.fit` with ``seed=s``. Several small networks cost little
    more than one: their weights are stacked, and what would be S small products is one
    batched product. Layers that draw at random or keep running statistics forbid it, as
    do functions that ``torch.func.vmap`` cannot treat: those networks are trained one
    after another.

    Args:
        build: makes a network with new weights.
        loss, train, valid, metrics, device: see :func:`dlref.train.fit`; data is
            given as tensors.
        optimizer: makes the optimiser from parameters; it must treat each number by
            itself, as SGD, RMSProp and Adam do (no clipping by a common norm).
        seeds: the seeds, or how many: 0, 1, 2, ...
        epochs, steps, batch_size: see :func:`dlref.train.fit`.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind or out of range.
        FloatingPointError: if the loss of a network is no longer finite.

    Source:
        This book, on ``torch.func`` (PyTorch's tutorial on model ensembling).

    Example:
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> def sgd(parameters):
        ...     return torch.optim.SGD(parameters, lr=0.1)
        >>> def build():
        ...     return nn.Linear(1, 1)
        >>> mse, data = nn.functional.mse_loss, (x, 3 * x)
        >>> runs = fit_seeds(build, mse, data, optimizer=sgd, seeds=2, epochs=60)
        >>> [round(run.model.weight.item(), 2) for run in runs]
        [3.0, 3.0]
    """
    numbers = seeds_of(seeds)
    size = length("train", train)
    if not isinstance(train, tuple) or not isinstance(valid, tuple | None):
        raise TypeError("train and valid must be pairs of tensors (inputs, targets)")
    batch_size = _check.integer("batch_size", batch_size, 1)
    total = steps_of(epochs, steps, -(-size // batch_size))
    device = default_device() if device is None else device
    models = []
    for n in numbers:
        set_seed(n)
        models.append(build().to(device))
    runs = [SeedRun(n, m, {}) for n, m in zip(numbers, models, strict=True)]
    checks = {"metrics": metrics, "batch_size": batch_size, "device": device}
    if not any(True for _ in models[0].buffers()):
        start = [copy.deepcopy(model.state_dict()) for model in models]
        try:
            _side_by_side(runs, loss, train, valid, optimizer, total, checks)
        except (RuntimeError, NotImplementedError):  # what vmap does not allow
            for model, weights in zip(models, start, strict=True):
                model.load_state_dict(weights)
        else:
            return runs
    runs = []
    for n, model in zip(numbers, models, strict=True):
        set_seed(n)
        history = fit(
            model, loss, train, valid, optimizer=optimizer(model.parameters()),
            steps=total, seed=n, **checks,
        )  # fmt: skip
        runs.append(SeedRun(n, model, history))
    return runs


def error_rates(runs: Sequence[SeedRun], data: Pair) -> Repeated:
    """Share of examples that each network classifies wrongly.

    Args:
        runs: what :func:`fit_seeds` returned.
        data: (inputs, labels).

    Raises:
        ValueError: if there is no run, or the data is empty.

    Source:
        This book.

    Example:
        >>> runs = [SeedRun(0, nn.Identity(), {}), SeedRun(1, nn.Identity(), {})]
        >>> scores, labels = torch.eye(4), torch.tensor([0, 1, 2, 0])
        >>> error_rates(runs, (scores, labels)).values
        array([0.25, 0.25])
    """
    if not runs:
        raise ValueError("runs must have at least one run, got none")
    found = [error_rate(run.model, data) for run in runs]
    return Repeated(np.array(found), tuple(run.seed for run in runs))


def _side_by_side(
    runs: list[SeedRun],
    loss: Loss,
    train: Pair,
    valid: Pair | None,
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
    total: int,
    checks: dict[str, Any],
) -> None:
    models = [run.model.train() for run in runs]
    x, y = (part.to(checks["device"]) for part in train)
    stacked, _ = stack_module_state(models)  # type: ignore[arg-type]
    step = optimizer(stacked.values())
    one = copy.deepcopy(models[0]).to("meta")

    def loss_of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss(functional_call(one, weights, (x,)), y)

    an_epoch = -(-len(x) // checks["batch_size"])
    for epoch in range(-(-total // an_epoch)):
        orders = [_order(run.seed + epoch, len(x)) for run in runs]
        batches = torch.stack(orders).to(x.device).split(checks["batch_size"], 1)
        sums = torch.zeros(len(runs), dtype=torch.float64, device=x.device)
        count = 0
        for rows in batches[: total - epoch * an_epoch]:
            step.zero_grad()
            losses = vmap(loss_of_one)(stacked, x[rows], y[rows])
            losses.sum().backward()
            step.step()
            sums += losses.detach() * rows.shape[1]
            count += rows.shape[1]
        means = (sums / count).tolist()
        _hand_back(stacked, models)
        for run, mean in zip(runs, means, strict=True):
            _record(run, mean, loss, valid, epoch, checks)


def _order(seed: int, size: int) -> Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def _hand_back(stacked: dict[str, Tensor], models: list[nn.Module]) -> None:
    with torch.no_grad():
        for n, model in enumerate(models):
            for name, parameter in model.named_parameters():
                parameter.copy_(stacked[name][n])


def _record(
    run: SeedRun,
    mean: float,
    loss: Loss,
    valid: Pair | None,
    epoch: int,
    checks: dict[str, Any],
) -> None:
    if mean - mean != 0:
        raise FloatingPointError(
            f"loss of seed {run.seed} is {mean} in epoch {epoch + 1}"
        )
    row = {"loss": mean}
    if valid is not None:
        found = evaluate(run.model, loss, valid, **checks)
        row |= {f"valid_{name}": value for name, value in found.items()}
    for name, value in row.items():
        run.history.setdefault(name, []).append(value)
