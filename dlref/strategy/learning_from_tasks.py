"""Several tasks learned together, and stages learned in one piece.

Shape legend: B batch, T tasks, K values of the first number, M of the second.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check

__all__ = ["MultiTask", "multi_task_loss", "sum_distribution"]


class MultiTask(nn.Module):
    """A shared trunk with a head for each task.

    Args:
        trunk: from the inputs to what all tasks use.
        heads: for each task what makes its output of that.

    Attributes:
        trunk, heads: as given, the heads as a ``ModuleDict``.

    Raises:
        TypeError: if the trunk or a head is no module.
        ValueError: if there is no head, or a name that a ``ModuleDict`` cannot hold.

    Source:
        Caruana (1997), "Multitask learning", Machine Learning 28.

    Example:
        >>> heads = {"person": nn.Linear(8, 40), "glasses": nn.Linear(8, 1)}
        >>> net = MultiTask(nn.Linear(5, 8), heads)
        >>> {task: tuple(out.shape) for task, out in net(torch.zeros(2, 5)).items()}
        {'person': (2, 40), 'glasses': (2, 1)}
    """

    def __init__(self, trunk: nn.Module, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, part in [("trunk", trunk), *heads.items()]:
            if not isinstance(part, nn.Module):
                got = _check.describe(part)
                raise TypeError(f"{name} must be a torch.nn.Module, got {got}")
        if not heads:
            raise ValueError("heads must have a task, got none")
        for task in heads:
            if not task or "." in task or hasattr(nn.ModuleDict, task):
                raise ValueError(
                    "heads must have names that a ModuleDict can hold: not empty, "
                    f"without a dot, and not a method of it, got {task!r}"
                )
        self.trunk = trunk
        self.heads = nn.ModuleDict(heads)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The output of each task."""
        shared = self.trunk(x)
        return {task: head(shared) for task, head in self.heads.items()}


def _classes(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target.long(), reduction="none")


def _one_number(loss: Callable[..., Tensor], output: Tensor, target: Tensor) -> Tensor:
    return loss(output.reshape(target.shape), target, reduction="none")


def _check_shape(task: str, kind: str, output: Tensor, examples: int) -> None:
    shape = tuple(output.shape)
    if kind == "class":
        fits = len(shape) == 2 and shape[0] == examples
        wanted = f"({examples}, classes)"
    else:
        fits = shape in ((examples,), (examples, 1))
        wanted = f"({examples},) or ({examples}, 1)"
    if not fits:
        raise ValueError(f"outputs[{task!r}] must be of shape {wanted}, got {shape}")


_KINDS = {
    "class": _classes,
    "binary": partial(_one_number, F.binary_cross_entropy_with_logits),
    "number": partial(_one_number, F.mse_loss),
}


def multi_task_loss(
    outputs: Mapping[str, Tensor],
    targets: Float[Tensor, "B T"],
    *,
    tasks: Mapping[str, str],
    weights: Mapping[str, float] | None = None,
) -> Float[Tensor, ""]:
    r"""Sum of the tasks' losses, each a mean over the examples whose target is known.

    .. math::
        L = \sum_t w_t \frac{1}{|K_t|} \sum_{i \in K_t} \ell_t(o_{t,i}, y_{t,i})

    with :math:`K_t` the examples whose target of task :math:`t` is known. A task that
    has none in the batch, or the weight 0, adds nothing.

    Args:
        outputs: task to output, as :class:`MultiTask` gives them: (B, classes) scores
            for a class, (B,) or (B, 1) otherwise.
        targets: (B, T) a column a task, in the order of ``tasks``; NaN where a target
            is not known (or -100 for a class); classes by their number, 0 to 1 for
            binary ones.
        tasks: task to its kind: ``"class"`` (cross-entropy), ``"binary"``
            (cross-entropy of a logit) or ``"number"`` (squared error).
        weights: task to its weight, 1 by default.

    Raises:
        TypeError: if the targets are integers, or a weight is no number.
        ValueError: if the tasks have no such outputs, columns or kinds, or a weight
            belongs to no task or is negative.

    Source:
        Caruana (1997), "Multitask learning", Machine Learning 28.

    Example:
        >>> outputs = {"size": torch.tensor([0.0, 0.0])}
        >>> targets = torch.tensor([[3.0], [float("nan")]])
        >>> multi_task_loss(outputs, targets, tasks={"size": "number"})
        tensor(9.)
    """
    weights = {} if weights is None else weights
    if not tasks or targets.ndim != 2 or targets.shape[1] != len(tasks):
        raise ValueError(
            f"targets must have a column for each of the tasks {list(tasks)}, "
            f"got shape {tuple(targets.shape)}"
        )
    if not targets.is_floating_point():
        raise TypeError(f"targets must be floating point, got {targets.dtype}")
    for name, given in (("outputs", outputs), ("weights", weights)):
        wrong = [task for task in given if task not in tasks]
        if wrong or (name == "outputs" and len(outputs) < len(tasks)):
            raise ValueError(
                f"{name} must be of the tasks {list(tasks)}, got {list(given)}"
            )
    total = next(iter(outputs.values())).new_zeros(())
    for column, (task, kind) in enumerate(tasks.items()):
        loss = _KINDS[_check.one_of(f"tasks[{task!r}]", kind, tuple(_KINDS))]
        weight = _check.real(f"weights[{task!r}]", weights.get(task, 1.0), "[0, inf)")
        output, target = outputs[task], targets[:, column]
        _check_shape(task, kind, output, len(targets))
        if weight == 0:
            continue
        known = ~target.isnan()
        if kind == "class":
            known = known & (target != -100)
        # what is not known is replaced before the loss: no gradient, not even NaN
        mask = known if output.ndim == 1 else known[:, None]
        each = loss(torch.where(mask, output, 0), torch.where(known, target, 0))
        mean = torch.where(known, each, 0).sum() / known.sum().clamp(min=1)
        total = total + weight * mean
    return total


def sum_distribution(
    p: Float[Tensor, "*B K"], q: Float[Tensor, "*B M"]
) -> Float[Tensor, "*B S"]:
    r"""Probabilities of the sum of two independent numbers.

    .. math::
        P(s) = \sum_{a + b = s} p_a \, q_b, \qquad s = 0, \dots, K + M - 2

    Args:
        p: (..., K) probabilities that the first number is 0 to K - 1.
        q: (..., M) the same of the second.

    Raises:
        ValueError: if the leading axes differ, or there is no value.

    Source:
        Feller (1968), An Introduction to Probability Theory and Its Applications I,
        section XI.2.

    Example:
        >>> sum_distribution(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5]))
        tensor([0.2500, 0.5000, 0.2500])
    """
    values = (*p.shape[-1:], *q.shape[-1:])
    if len(values) < 2 or 0 in values or p.shape[:-1] != q.shape[:-1]:
        raise ValueError(
            "p and q must have the same leading axes and at least one value, "
            f"got {tuple(p.shape)} and {tuple(q.shape)}"
        )
    pairs = p[..., :, None] * q[..., None, :]
    # each row one place further to the right, then down the columns
    further = p.shape[-1] - 1
    rows = [F.pad(row, (a, further - a)) for a, row in enumerate(pairs.unbind(-2))]
    return torch.stack(rows, -2).sum(-2)
