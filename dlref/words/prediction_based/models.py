"""CBOW and skip-gram with a softmax over all words.

Shape legend: B examples, C words of a context, V words, E numbers of a vector.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dlref import _check

__all__ = ["CBOW", "SkipGram"]


class SkipGram(nn.Module):
    r"""Predict the words near a word from its vector.

    .. math::
        p(c \mid w) = \frac{e^{v_c^\top u_w}}{\sum_{c'} e^{v_{c'}^\top u_w}}

    Args:
        num_embeddings: V.
        embedding_dim: E.
        device: where the parameters are made.
        dtype: of the parameters.

    Attributes:
        input: an ``nn.Embedding`` with the vectors u of words, (V, E).
        output: an ``nn.Linear`` without bias, with the vectors v of words as context,
            (V, E).
        num_embeddings: V.
        embedding_dim: E.

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if it is below 1.

    Source:
        Mikolov, Chen, Corrado & Dean (2013), arXiv:1301.3781, section 3.2; the start is
        word2vec.c's: u even in :math:`\pm 1/(2E)`, v zero.

    Example:
        >>> SkipGram(5, 3)(torch.tensor([4])).softmax(1)
        tensor([[0.2000, 0.2000, 0.2000, 0.2000, 0.2000]], grad_fn=<SoftmaxBackward0>)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = _check.integer("num_embeddings", num_embeddings, 1)
        self.embedding_dim = _check.integer("embedding_dim", embedding_dim, 1)
        sizes = self.num_embeddings, self.embedding_dim
        self.input, self.output = _vectors(*sizes, device=device, dtype=dtype)

    def forward(self, centre: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
        """The scores of all words as neighbours.

        Args:
            centre: (B,) numbers of words.
        """
        return self.output(self.input(centre))

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


class CBOW(nn.Module):
    r"""Predict a word from the words around it: continuous bag of words.

    .. math::
        h = \frac1C \sum_{c=1}^{C} u_{w_c}, \qquad
        p(w \mid \text{context}) = \frac{e^{v_w^\top h}}{\sum_{w'} e^{v_{w'}^\top h}}

    Args:
        num_embeddings: V.
        embedding_dim: E.
        mode: ``"mean"``, or ``"sum"`` without the 1/C.
        device: where the parameters are made.
        dtype: of the parameters.

    Attributes:
        input: an ``nn.Embedding`` with the vectors u of context words, (V, E).
        output: an ``nn.Linear`` without bias, with the vectors v of words that are
            predicted, (V, E).
        num_embeddings: V.
        embedding_dim: E.
        mode: as given.

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if it is below 1, or the mode unknown.

    Source:
        Mikolov, Chen, Corrado & Dean (2013), arXiv:1301.3781, section 3.1; the start as
        :class:`SkipGram`. differs: word2vec.c gives every context word the whole
        gradient of the mean, not the 1/C that is its derivative.

    Example:
        >>> CBOW(5, 3)(torch.tensor([[4, 1, -1]])).shape  # two words and no third
        torch.Size([1, 5])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        mode: str = "mean",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = _check.integer("num_embeddings", num_embeddings, 1)
        self.embedding_dim = _check.integer("embedding_dim", embedding_dim, 1)
        self.mode = _check.one_of("mode", mode, ("mean", "sum"))
        sizes = self.num_embeddings, self.embedding_dim
        self.input, self.output = _vectors(*sizes, device=device, dtype=dtype)

    def hidden(self, context: Int[Tensor, "B C"]) -> Float[Tensor, "B E"]:
        """The mean or the sum of the context's vectors.

        Args:
            context: (B, C) numbers of words; negative ones are left out. Without any
                word it is zero.
        """
        there = (context >= 0).unsqueeze(-1)
        vectors = self.input(context.clamp(min=0))
        summed = torch.where(there, vectors, 0).sum(1)
        if self.mode == "sum":
            return summed
        return summed / there.sum(1).clamp(min=1)

    def forward(self, context: Int[Tensor, "B C"]) -> Float[Tensor, "B V"]:
        """The scores of all words in the middle.

        Args:
            context: see :meth:`hidden`.
        """
        return self.output(self.hidden(context))

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}"


def _vectors(words: int, size: int, **where: Any) -> tuple[nn.Embedding, nn.Linear]:
    """Input vectors that are small and even, output vectors that are zero."""
    given = nn.Embedding(words, size, **where)
    guessed = nn.Linear(size, words, bias=False, **where)
    nn.init.uniform_(given.weight, -0.5 / size, 0.5 / size)
    nn.init.zeros_(guessed.weight)
    return given, guessed
