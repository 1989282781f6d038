"""Losses on distances: pairs, triplets, and which triplets to take.

Shape legend: B pictures of a batch, D numbers of an embedding, T triplets, N M rows.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dlref import _check
from dlref._reduction import reduced

__all__ = [
    "Triplets",
    "batch_triplet_loss",
    "contrastive_loss",
    "embedding_distances",
    "mine_triplets",
    "triplet_loss",
]

MINING = ("all", "semihard", "hard", "batch_hard")


class Triplets(NamedTuple):
    """Numbers of pictures of a batch.

    Attributes:
        anchor: the picture that is compared.
        positive: another picture of the same person.
        negative: a picture of another person.

    Source:
        Schroff, Kalenichenko & Philbin (2015), arXiv:1503.03832, section 3.1.

    Example:
        >>> Triplets(*torch.tensor([[0], [1], [2]])).negative
        tensor([2])
    """

    anchor: Int[Tensor, " T"]
    positive: Int[Tensor, " T"]
    negative: Int[Tensor, " T"]


def embedding_distances(
    first: Float[Tensor, "N D"], second: Float[Tensor, "M D"], *, squared: bool = False
) -> Float[Tensor, "N M"]:
    """Euclidean distances of all pairs of rows.

    They are computed from differences: equal rows have the distance 0 exactly, and the
    gradient there is 0 (the root of a sum of squares has none).

    Args:
        first: (N, D).
        second: (M, D).
        squared: whether to leave the root away.

    Returns:
        (N, M).

    Raises:
        TypeError: if one is no floating-point tensor.
        ValueError: if they are not tables with equally many columns.

    Source:
        torch.cdist, which takes products of matrices for more than 25 rows, with errors
        where distances are small.

    Example:
        >>> embedding_distances(torch.tensor([[0.0, 0]]), torch.tensor([[3.0, 4]]))
        tensor([[5.]])
    """
    _check.tensor("first", first, "N D", empty=True)
    _check.tensor("second", second, "M D", D=first.shape[1], empty=True)
    difference = first[:, None] - second[None]
    if squared:
        return difference.square().sum(-1)
    return torch.linalg.vector_norm(difference, dim=-1)


def contrastive_loss(
    distance: Float[Tensor, "..."],
    same: Bool[Tensor, "..."] | Int[Tensor, "..."],
    *,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Pull pairs of one person together, push others apart up to a margin.

    .. math::
        L = y\, d^2 + (1 - y) \max(0, m - d)^2

    Args:
        distance: (...) of the pairs, not below 0.
        same: (...) y: 0 for two people, anything else for two pictures of one person.
            (Some programs and papers have it the other way round.)
        margin: m, above 0; two people farther apart than this are left alone.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        TypeError: if the distance is no floating-point tensor, or the margin no number.
        ValueError: if the shapes differ, or a setting is out of range.

    Source:
        Hadsell, Chopra & LeCun (2006), CVPR, equation 4, without its factor 1/2.

    Example:
        >>> d = torch.tensor([0.5, 0.5])
        >>> contrastive_loss(d, torch.tensor([True, False]), reduction="none")
        tensor([0.2500, 0.2500])
    """
    _check.tensor("distance", distance, "...", empty=True)
    margin = _check.real("margin", margin, "(0, inf)")
    if same.shape != distance.shape or same.is_floating_point():
        got = _check.describe(same)
        expected = tuple(distance.shape)
        raise ValueError(f"same must be truth values of shape {expected}, got {got}")
    apart = (margin - distance).clamp(min=0).square()
    return reduced(torch.where(same.bool(), distance.square(), apart), reduction)


def triplet_loss(
    anchor: Float[Tensor, "... D"],
    positive: Float[Tensor, "... D"],
    negative: Float[Tensor, "... D"],
    *,
    margin: float = 0.2,
    squared: bool = True,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""The positive is to be nearer than the negative, by a margin.

    .. math::
        L = \max\bigl(0,\, d(a, p) - d(a, n) + m\bigr)

    with squared distances d, or plain ones.

    Args:
        anchor: (..., D).
        positive: (..., D), of the same person.
        negative: (..., D), of another.
        margin: m, not below 0.
        squared: with True d is the squared distance, as in the paper; with False the
            distance, as in torch's triplet_margin_loss.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        TypeError: if one is no floating-point tensor, or the margin no number.
        ValueError: if the shapes differ, or a setting is out of range.

    Source:
        Schroff, Kalenichenko & Philbin (2015), arXiv:1503.03832, equation 2.

    Example:
        >>> a, p, n = torch.tensor([[0.0], [1.0], [1.15]])
        >>> (
        ...     triplet_loss(a, p, n),
        ...     triplet_loss(a, p, n, squared=False).round(decimals=2),
        ... )
        (tensor(0.), tensor(0.0500))
    """
    _check.tensor("anchor", anchor, "... D", empty=True)
    for name, other in (("positive", positive), ("negative", negative)):
        _check.tensor(name, other, "... D", empty=True)
        if other.shape != anchor.shape:
            got = _check.describe(other)
            raise ValueError(
                f"{name} must have the anchor's shape {tuple(anchor.shape)}, got {got}"
            )
    margin = _check.real("margin", margin, "[0, inf)")
    near, far = anchor - positive, anchor - negative
    if squared:
        difference = near.square().sum(-1) - far.square().sum(-1)
    else:
        norm = torch.linalg.vector_norm
        difference = norm(near, dim=-1) - norm(far, dim=-1)
    return reduced((difference + margin).clamp(min=0), reduction)


def mine_triplets(
    distances: Float[Tensor, "B B"],
    labels: Int[Tensor, " B"],
    *,
    margin: float = 0.2,
    mining: str = "batch_hard",
) -> Triplets:
    """Which triplets of a batch to learn from.

    With distances d to the positive and to the negative:

    - ``"all"``: those that violate the margin, d(a, n) - d(a, p) <= m;
    - ``"semihard"``: those of them whose negative is farther than the positive;
    - ``"hard"``: those of them whose negative is not farther than the positive;
    - ``"batch_hard"``: for each anchor one, its farthest positive and its nearest
      negative, whether or not they violate anything.

    Args:
        distances: (B, B) of all pairs.
        labels: (B,) who it is.
        margin: m, not below 0.
        mining: see above.

    Returns:
        Anchors in rising order; there may be none, as with one person only.

    Raises:
        TypeError: if the distances are no floating-point tensor, or the margin no
            number.
        ValueError: if the shapes do not fit, a distance is NaN, or a setting is out of
            range.

    Source:
        Schroff et al. (2015), arXiv:1503.03832, section 3.2; ``"batch_hard"``: Hermans,
        Beyer & Leibe (2017), arXiv:1703.07737, equation 5; the miners of
        pytorch-metric-learning.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [1.1], [5.0]])
        >>> mine_triplets(embedding_distances(x, x), torch.tensor([0, 0, 1, 1]))[0]
        tensor([0, 1, 2, 3])
    """
    if labels.ndim != 1 or labels.is_floating_point():
        got = _check.describe(labels)
        raise ValueError(f"labels must be whole numbers, one a picture, got {got}")
    _check.tensor("distances", distances, "B B", B=len(labels), empty=True)
    _check.one_of("mining", mining, MINING)
    margin = _check.real("margin", margin, "[0, inf)")
    if distances.isnan().any():
        raise ValueError("distances must not be NaN, which is neither near nor far")
    d, same = distances.detach(), labels[:, None] == labels
    other = ~same
    same = same & ~torch.eye(len(d), dtype=torch.bool, device=d.device)
    if mining == "batch_hard" and len(d):
        anchor = (same.any(1) & other.any(1)).nonzero().flatten()
        positive = torch.where(same, d, -torch.inf)[anchor].argmax(1)
        negative = torch.where(other, d, torch.inf)[anchor].argmin(1)
        return Triplets(anchor, positive, negative)
    gap = d[:, None, :] - d[:, :, None]  # of (anchor, positive, negative)
    wanted = same[:, :, None] & other[:, None, :] & (gap <= margin)
    if mining == "semihard":
        wanted &= gap > 0
    elif mining == "hard":
        wanted &= gap <= 0
    return Triplets(*wanted.nonzero().unbind(1))


def batch_triplet_loss(
    embeddings: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    *,
    margin: float = 0.2,
    squared: bool = False,
    mining: str = "batch_hard",
) -> Float[Tensor, ""]:
    """The mean loss of the triplets of a batch that are mined and not yet satisfied.

    Args:
        embeddings: (B, D).
        labels: (B,) who it is.
        margin: see :func:`triplet_loss`.
        squared: see :func:`triplet_loss`; triplets are mined by the same distances.
        mining: see :func:`mine_triplets`.

    Returns:
        A number; 0, with gradients 0, if all are satisfied or there is no triplet. With
        ``"batch_hard"`` satisfied triplets count as 0 in the mean, as in the paper.

    Raises:
        TypeError, ValueError: see :func:`mine_triplets`.

    Source:
        See :func:`mine_triplets`; the mean over those that are not satisfied: Hermans,
        Beyer & Leibe (2017), arXiv:1703.07737, section 4.

    Example:
        >>> x, who = torch.tensor([[0.0], [1.0], [1.1]]), torch.tensor([0, 0, 1])
        >>> batch_triplet_loss(x, who)  # 1 - 1.1 + 0.2 and 1 - 0.1 + 0.2, halved
        tensor(0.6000)
    """
    distances = embedding_distances(embeddings, embeddings, squared=squared)
    mined = mine_triplets(distances, labels, margin=margin, mining=mining)
    near = distances[mined.anchor, mined.positive]
    far = distances[mined.anchor, mined.negative]
    losses = (near - far + margin).clamp(min=0)
    number = len(losses) if mining == "batch_hard" else int((losses > 0).sum())
    return losses.sum() / max(number, 1)
