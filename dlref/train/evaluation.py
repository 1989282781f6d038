"""What a model gives and how good that is, in evaluation mode and without gradients."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dlref import _check
from dlref.device import device as default_device
from dlref.train.batches import Data, length, outputs, size_of, weight_of
from dlref.train.processes import Mean, batches_of, join

__all__ = ["Noted", "accuracy", "error_rate", "evaluate", "evaluating", "predict"]

Loss = Callable[[Any, Any], Tensor]


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Share of examples whose largest output is the target class.

    One score an example, (B, 1) or (B), stands for two classes: above zero it says 1.

    Args:
        output: (B, classes, ...) scores.
        target: (B, ...) class indices; for one score, of the output's shape as well.

    Raises:
        ValueError: if the shapes do not belong together.

    Source:
        Zero-one loss, one minus its mean.

    Example:
        >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        tensor(0.5000)
    """
    one = output.ndim == 1 or output.shape[1] == 1
    predicted = (output > 0).long() if one else output.argmax(1)
    if one and output.ndim > 1 and target.ndim < output.ndim:
        predicted = predicted.squeeze(1)
    if predicted.shape != target.shape:
        raise ValueError(
            f"target must have shape {tuple(predicted.shape)}, got "
            f"{_check.describe(target)}"
        )
    return (predicted == target).float().mean()


def error_rate(
    model: nn.Module,
    data: Data,
    *,
    batch_size: int = 500,
    device: torch.device | None = None,
) -> float:
    """Share of the examples on which the largest output is not the target's.

    Args:
        model: gives one output a class.
        data: ``(inputs, targets)``, as for :func:`evaluate`.
        batch_size, device: see :func:`evaluate`.

    Raises:
        TypeError, ValueError: as :func:`evaluate`.

    Source:
        This book.

    Example:
        >>> scores, targets = torch.eye(4), torch.tensor([0, 1, 2, 0])
        >>> error_rate(nn.Identity(), (scores, targets))
        0.25
    """
    return evaluate(model, _wrong, data, batch_size=batch_size, device=device)["loss"]


def _wrong(output: Tensor, target: Tensor) -> Tensor:
    return 1 - accuracy(output, target)


class Noted:
    """A loss that notes each value that it gives, step by step.

    Args:
        loss: mean over the batch, from (output, target).

    Attributes:
        values: what it has given so far, as numbers.

    Source:
        This book.

    Example:
        >>> loss = Noted(nn.functional.mse_loss)
        >>> _ = loss(torch.zeros(2), torch.ones(2)), loss(torch.ones(2), torch.ones(2))
        >>> loss.values
        [1.0, 0.0]
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.values: list[float] = []

    def __call__(self, output: Any, target: Tensor) -> Tensor:
        """The loss of a batch."""
        value = self.loss(output, target)
        self.values.append(value.item())
        return value


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
        data: ``(inputs, targets)``, a Dataset or a DataLoader, see :func:`fit`.
        batch_size: examples at a time; a DataLoader has its own.

    Raises:
        TypeError, ValueError: if an argument is of the wrong kind, the data empty or
            of unequal lengths, or a metric is called "loss".

    Source:
        This book.

    Example:
        >>> x, y = torch.eye(2), torch.tensor([0, 1])
        >>> evaluate(
        ...     nn.Identity(),
        ...     nn.functional.cross_entropy,
        ...     (x, y),
        ...     metrics={"accuracy": accuracy},
        ... )["accuracy"]
        1.0
    """
    size = length("data", data)
    batch_size = _check.integer("batch_size", batch_size, 1)
    check_metrics(metrics)
    _, _, device = join(device)
    model.to(device)
    weigh = weight_of(loss.loss if isinstance(loss, Noted) else loss, data)
    loader = isinstance(data, DataLoader)
    batches = torch.arange(size).split(1 if loader else batch_size)
    loss_mean = Mean(device)
    means = {name: Mean(device) for name in metrics or {}}
    with evaluating(model):
        for share, inputs, targets in batches_of(data, batches, device, weigh=weigh):
            output = outputs(model, inputs)
            loss_mean.add(loss(output, targets), share.count)
            for name, mean in means.items():
                mean.add(
                    (metrics or {})[name](output, targets), float(size_of(targets))
                )
    return {"loss": loss_mean.over_processes()} | {
        name: mean.over_processes() for name, mean in means.items()
    }


def check_metrics(metrics: Mapping[str, Loss] | None) -> None:
    """No metric may take the place of the loss."""
    if metrics and "loss" in metrics:
        raise ValueError("metrics must not be called 'loss', which is the loss's name")


def predict(
    model: nn.Module,
    inputs: Tensor,
    *,
    batch_size: int = 256,
    device: torch.device | None = None,
) -> Tensor:
    """Outputs of ``model`` for all inputs, in evaluation mode, on the CPU.

    Without gradients.

    Args:
        model: left in the mode it was in.
        inputs: (N, ...) examples.
        batch_size, device: examples at a time, and where to compute.

    Raises:
        TypeError, ValueError: if ``inputs`` is no tensor or empty, or ``batch_size`` no
            positive integer.

    Source:
        This book.

    Example:
        >>> predict(nn.Linear(3, 2), torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a tensor, got {_check.describe(inputs)}")
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(
            f"inputs must hold at least one example, got {_check.describe(inputs)}"
        )
    batch_size = _check.integer("batch_size", batch_size, 1)
    device = default_device() if device is None else device
    model.to(device)
    with evaluating(model):
        return torch.cat(
            [model(part.to(device)).cpu() for part in inputs.split(batch_size)]
        )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients.

    Afterwards each module is back in its own mode.

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
