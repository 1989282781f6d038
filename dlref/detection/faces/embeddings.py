"""Networks that put pictures in a space, and judge pairs of them.

Shape legend: B pairs or pictures, C channels, H W rows and columns, D numbers of an
embedding.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check

__all__ = ["Siamese", "SimilarityHead", "Unit", "embedding_network"]

KINDS = ("absolute", "squared", "chi_squared")


class Unit(nn.Module):
    """Each row divided by its length, so that it lies on the unit sphere.

    Shape:
        (..., D) to (..., D). A row of zeros stays one.

    Source:
        Schroff, Kalenichenko & Philbin (2015), arXiv:1503.03832, section 3.1.

    Example:
        >>> Unit()(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """

    def forward(self, x: Float[Tensor, "... D"]) -> Float[Tensor, "... D"]:
        """Scale each row."""
        return F.normalize(x, dim=-1)


def embedding_network(
    features: int = 32,
    *,
    in_channels: int = 1,
    width: int = 16,
    unit: bool = True,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Convolutions that turn a picture into a few numbers.

    Four times a convolution of 3 x 3 with batch norm and rectifier and a pooling, the
    mean over 3 x 2 parts of the map, and a fully connected layer.

    Args:
        features: D.
        in_channels: of the pictures.
        width: channels of the first convolution; then twice, and four times as many.
        unit: whether the embeddings are scaled to length one.
        dropout: probability with which a feature of the map is left out in training.

    Returns:
        A network from (B, in_channels, H, W), with sides of 16 at least, to (B, D).

    Raises:
        TypeError: if a number is of another type.
        ValueError: if one is below 1, or the probability outside of [0, 1).

    Source:
        This book.

    Example:
        >>> embedding_network()(torch.zeros(2, 1, 48, 40)).shape
        torch.Size([2, 32])
    """
    features = _check.integer("features", features, 1)
    channels = _check.integer("in_channels", in_channels, 1)
    width = _check.integer("width", width, 1)
    dropout = _check.real("dropout", dropout, "[0, 1)")
    layers: list[nn.Module] = []
    for wide in (width, 2 * width, 4 * width, 4 * width):
        conv = nn.Conv2d(channels, wide, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(wide), nn.ReLU(), nn.MaxPool2d(2)]
        channels = wide
    layers += [nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(), nn.Dropout(dropout)]
    layers.append(nn.Linear(6 * channels, features))
    return nn.Sequential(*layers, *([Unit()] if unit else []))


class SimilarityHead(nn.Module):
    r"""A logistic regression on how two embeddings differ.

    .. math::
        z = b + \sum_k w_k\, \delta_k(f, g)

    with :math:`\delta_k = |f_k - g_k|`, or the square of the difference, or the square
    over :math:`|f_k| + |g_k|` (chi-squared).

    Args:
        features: D.
        kind: ``"absolute"``, ``"squared"`` or ``"chi_squared"``.

    Shape:
        Two tensors (..., D), which may be broadcast, to (...): the logit of "the same".

    Attributes:
        features: D.
        kind: as given.
        linear: the weights and the bias.

    Raises:
        TypeError: if ``features`` is no integer.
        ValueError: if it is below 1, there is no such kind, or the embeddings have
            other sizes.

    Source:
        Taigman, Yang, Ranzato & Wolf (2014), CVPR, section 4, for absolute differences
        and chi-squared, there with features not below 0; where both are 0, the latter
        is 0 here (0 / 0 would be NaN).

    Example:
        >>> head = SimilarityHead(4)
        >>> head(torch.ones(3, 4), torch.ones(3, 4)).shape
        torch.Size([3])
    """

    def __init__(self, features: int, kind: str = "absolute") -> None:
        super().__init__()
        self.features = _check.integer("features", features, 1)
        self.kind = _check.one_of("kind", kind, KINDS)
        self.linear = nn.Linear(self.features, 1)

    def forward(
        self, first: Float[Tensor, "... D"], second: Float[Tensor, "... D"]
    ) -> Float[Tensor, "..."]:
        """Logits of "the same person"."""
        if not first.shape[-1] == second.shape[-1] == self.features:
            raise ValueError(
                f"first and second must have {self.features} features, got "
                f"{_check.describe(first)} and {_check.describe(second)}"
            )
        return self.linear(self.differences(first, second)).squeeze(-1)

    def differences(
        self, first: Float[Tensor, "... D"], second: Float[Tensor, "... D"]
    ) -> Float[Tensor, "... D"]:
        """What is weighed."""
        change = first - second
        if self.kind == "absolute":
            return change.abs()
        if self.kind == "squared":
            return change.square()
        total = first.abs() + second.abs()
        return change.square() / torch.where(total == 0, 1, total)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.features}, kind={self.kind!r}"


class Siamese(nn.Module):
    """One network for both pictures of a pair, and a head that compares what it gives.

    Args:
        network: from pictures to (B, D).
        head: from two embeddings to a logit.

    Shape:
        Two batches of pictures to (B,).

    Attributes:
        network: as given; there is one, its weights serve both pictures.
        head: as given.

    Source:
        Bromley, Guyon, LeCun, Säckinger & Shah (1993), NIPS; the head: Taigman et al.
        (2014), CVPR.

    Example:
        >>> pair = Siamese(embedding_network(8), SimilarityHead(8))
        >>> pair(torch.zeros(2, 1, 48, 40), torch.zeros(2, 1, 48, 40)).shape
        torch.Size([2])
    """

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(
        self, first: Float[Tensor, "B C H W"], second: Float[Tensor, "B C H W"]
    ) -> Float[Tensor, " B"]:
        """Logits of "the same"."""
        both = self.network(torch.cat((first, second)))  # one batch, one normalisation
        return self.head(*both.chunk(2))
