"""Losses that compare a true word with a few others, and not with all.

Shape legend: B pairs of a batch, K words drawn as noise for each.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dlref import _check
from dlref._reduction import reduced

__all__ = ["negative_sampling_loss", "ranking_loss"]


def negative_sampling_loss(
    positive: Float[Tensor, "..."],
    negative: Float[Tensor, "... K"],
    *,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Tell the true word of a pair from words that were drawn at random.

    .. math::
        L = -\log \sigma(s) - \sum_{k=1}^{K} \log \sigma(-s_k)

    Args:
        positive: (...) s, the scores of true pairs.
        negative: (..., K) the scores of the same words with those drawn.
        reduction: ``"mean"`` over the pairs (NaN if there are none, as in torch),
            ``"sum"`` or ``"none"``.

    Raises:
        TypeError: if one holds no floating-point numbers.
        ValueError: if the shapes do not fit, or the reduction is unknown.

    Source:
        Mikolov et al. (2013), arXiv:1310.4546, equation 4, with the sign of a loss.

    Example:
        >>> negative_sampling_loss(Tensor([0]), Tensor([[0] * 5]))  # 6 log 2
        tensor(4.1589)
    """
    _check.tensor("positive", positive, "...", empty=True)
    _check.tensor("negative", negative, "... K", empty=True)
    if negative.shape[:-1] != positive.shape:
        got = _check.describe(negative)
        raise ValueError(
            f"negative must have shape {(*positive.shape, 'K')}, got {got}"
        )
    losses = F.softplus(-positive) + F.softplus(negative).sum(-1)
    return reduced(losses, reduction)


def ranking_loss(
    score: Float[Tensor, "..."],
    corrupted: Float[Tensor, "..."],
    *,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""A true window is to score higher than a corrupted one, by a margin.

    .. math::
        L = \max(0,\, m - s + s_r)

    Args:
        score: (...) s, of windows of the text.
        corrupted: (...) :math:`s_r`, of the same windows with their middle replaced.
        margin: m, not below 0; at a lead of exactly m the gradient is 0.
        reduction: as in :func:`negative_sampling_loss`.

    Raises:
        TypeError: if one holds no floating-point numbers, or the margin is no number.
        ValueError: if the shapes differ, or a setting is out of range.

    Source:
        Collobert & Weston (2008), ICML, with the margin 1.

    Example:
        >>> ranking_loss(Tensor([1.2]), Tensor([0.5]))
        tensor(0.3000)
    """
    _check.tensor("score", score, "...", empty=True)
    _check.tensor("corrupted", corrupted, "...", empty=True)
    if score.shape != corrupted.shape:
        got = _check.describe(corrupted)
        raise ValueError(
            f"corrupted must have the shape of score, {tuple(score.shape)}, got {got}"
        )
    margin = _check.real("margin", margin, "[0, inf)")
    return reduced(F.relu(margin - score + corrupted), reduction)
