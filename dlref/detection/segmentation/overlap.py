"""How well masks agree, counted and as a loss.

Shape legend: B pictures, K classes, H W rows and columns.
"""

import numpy as np
import torch
from jaxtyping import Float, Int, Integer, Real
from torch import Tensor
from torch.nn import functional as F

from dlref import _check
from dlref._precision import in_single

__all__ = ["class_iou", "dice", "dice_loss", "mean_iou", "pixel_counts"]


def pixel_counts(
    prediction: Integer[Tensor, "..."],
    target: Integer[Tensor, "..."],
    num_classes: int,
    *,
    ignore_index: int = -100,
) -> Int[np.ndarray, "K K"]:
    """How many pixels of each class were given each class.

    Counts of pictures may be added up; their sum is that of all pixels together.

    Args:
        prediction: (...), classes from 0 to K - 1.
        target: (...), likewise.
        num_classes: K.
        ignore_index: pixels of this target are not counted.

    Returns:
        (K, K): row the true class, column the predicted one.

    Raises:
        TypeError: if one is no tensor of whole numbers, or ``num_classes`` no integer.
        ValueError: if the shapes differ, a class is out of range, or ``num_classes`` is
            below 1.

    Source:
        Long, Shelhamer & Darrell (2015), arXiv:1411.4038, section 5.

    Example:
        >>> pixel_counts(
        ...     torch.tensor([[0, 1], [1, 1]]), torch.tensor([[0, 0], [1, 1]]), 2
        ... )
        array([[1, 1],
               [0, 2]])
    """
    num_classes = _check.integer("num_classes", num_classes, 1)
    for name, value in (("prediction", prediction), ("target", target)):
        if value.is_floating_point() or value.is_complex():
            got = _check.describe(value)
            raise TypeError(f"{name} must hold whole numbers, got {got}")
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction must have the shape of target, {tuple(target.shape)}, got "
            f"{_check.describe(prediction)}"
        )
    made, right = prediction.long(), target.long()
    counted = right != ignore_index
    made, right = made[counted], right[counted]
    for name, value in (("prediction", made), ("target", right)):
        if len(value) and (value.min() < 0 or value.max() >= num_classes):
            raise ValueError(
                f"{name} must be in [0, {num_classes - 1}], got {value.min()} to "
                f"{value.max()}"
            )
    pairs = torch.bincount(right * num_classes + made, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes).cpu().numpy()


def class_iou(counts: Real[np.ndarray, "K K"]) -> Float[np.ndarray, " K"]:
    r"""Intersection over union of each class.

    .. math::
        \mathrm{IoU}_k = \frac{n_{kk}}{\sum_j n_{kj} + \sum_j n_{jk} - n_{kk}}

    Args:
        counts: (K, K) what :func:`pixel_counts` gives.

    Returns:
        (K,) from 0 to 1; NaN for a class that is neither there nor predicted.

    Raises:
        ValueError: if the counts are no square table.

    Source:
        Long, Shelhamer & Darrell (2015), arXiv:1411.4038, section 5.

    Example:
        >>> class_iou(np.array([[1, 1], [0, 2]])).round(3)
        array([0.5  , 0.667])
    """
    shared, true, made = _sums(counts)
    return _part(shared, true + made - shared)


def mean_iou(counts: Real[np.ndarray, "K K"]) -> float:
    """The mean of the intersections over unions of the classes that occur.

    Args:
        counts: (K, K) what :func:`pixel_counts` gives.

    Returns:
        A number from 0 to 1; NaN if no class occurs.

    Raises:
        ValueError: if the counts are no square table.

    Source:
        Long, Shelhamer & Darrell (2015), arXiv:1411.4038, section 5; a class that is
        neither there nor predicted is left out.

    Example:
        >>> round(mean_iou(np.array([[96, 0], [4, 0]])), 2)
        0.48
    """
    found = class_iou(counts)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def dice(counts: Real[np.ndarray, "K K"]) -> Float[np.ndarray, " K"]:
    r"""Dice's coefficient of each class: twice what is shared over both sizes.

    .. math::
        \mathrm{Dice}_k = \frac{2 n_{kk}}{\sum_j n_{kj} + \sum_j n_{jk}}
        = \frac{2\,\mathrm{IoU}_k}{1 + \mathrm{IoU}_k}

    Args:
        counts: (K, K) what :func:`pixel_counts` gives.

    Returns:
        (K,) from 0 to 1; NaN for a class that is neither there nor predicted.

    Raises:
        ValueError: if the counts are no square table.

    Source:
        Dice (1945), Ecology 26.

    Example:
        >>> dice(np.array([[1, 1], [0, 2]])).round(3)
        array([0.667, 0.8  ])
    """
    shared, true, made = _sums(counts)
    return _part(2 * shared, true + made)


def _sums(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        got = _check.describe(counts)
        raise ValueError(f"counts must be a square table, got {got}")
    return counts.diagonal(), counts.sum(1), counts.sum(0)


def _part(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    empty = np.full(whole.shape, np.nan)
    return np.divide(part, whole, out=empty, where=whole > 0)


def dice_loss(
    output: Float[Tensor, "B K H W"],
    target: Integer[Tensor, "B H W"],
    *,
    smooth: float = 1.0,
    ignore_index: int = -100,
) -> Float[Tensor, ""]:
    r"""One minus Dice's coefficient of probabilities and masks.

    .. math::
        L = 1 - \frac{1}{BK} \sum_{b,k} \frac{2 \sum_i p_{bki} m_{bki} + s}
        {\sum_i p_{bki} + \sum_i m_{bki} + s}

    with the softmax p of the output over the classes, the target m in one-hot form, and
    the sums over pixels i.

    Args:
        output: (B, K, H, W) any numbers.
        target: (B, H, W) classes from 0 to K - 1.
        smooth: s, not below 0. Above 0 it keeps a class that is neither there nor
            predicted at 1, which is NaN with 0, and softens small masks: with s = 1 one
            pixel too many, where there is none, costs a half.
        ignore_index: pixels of this target are left out of all sums.

    Returns:
        A number; sums of half precision are made in single.

    Raises:
        TypeError: if the output is no floating-point tensor, or ``smooth`` no number.
        ValueError: if the shapes do not fit, or ``smooth`` is below 0.
        RuntimeError: of torch, if a class is out of range.

    Source:
        Milletari, Navab & Ahmadi (2016), arXiv:1606.04797, who square the terms below
        the line; without squares Drozdzal et al. (2016), arXiv:1608.04117.

    Example:
        >>> sure = 100 * F.one_hot(torch.tensor([[[0, 1]]]), 2).movedim(-1, 1).float()
        >>> dice_loss(sure, torch.tensor([[[0, 1]]]))
        tensor(0.)
    """
    _check.tensor("output", output, "B K H W")
    smooth = _check.real("smooth", smooth, "[0, inf)")
    expected = (len(output), *output.shape[2:])
    if target.shape != expected or target.is_floating_point():
        got = _check.describe(target)
        raise ValueError(f"target must be whole numbers of shape {expected}, got {got}")
    counted = (target.long() != ignore_index)[:, None]
    known = torch.where(counted[:, 0], target.long(), 0)
    m = F.one_hot(known, output.shape[1]).movedim(-1, 1) * counted

    def loss(output: Tensor) -> Tensor:
        p = output.softmax(1) * counted
        shared, both = (p * m).sum((2, 3)), (p + m).sum((2, 3))
        return 1 - ((2 * shared + smooth) / (both + smooth)).mean()

    return in_single(loss, output)
