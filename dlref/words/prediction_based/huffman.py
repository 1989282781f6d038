"""A tree over the words, and a softmax that walks down one path of it.

Shape legend: B examples, V words, E numbers of a vector, D depth of the tree.
"""

import heapq
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from dlref import _check

__all__ = ["HierarchicalSoftmax", "HuffmanTree", "huffman_tree"]


class HuffmanTree(NamedTuple):
    """The path from the root to each word.

    Attributes:
        nodes: (V, D) the numbers of the inner nodes that are passed, 0 to V - 2; what
            lies beyond the end of a path is 0.
        turns: (V, D) at each node 0 for left, 1 for right.
        inside: (V, D) which places belong to the path.

    Source:
        See :func:`huffman_tree`.

    Example:
        >>> huffman_tree(np.array([8, 4, 2, 1, 1])).depths
        array([1, 2, 3, 4, 4])
    """

    nodes: Integer[np.ndarray, "V D"]
    turns: Integer[np.ndarray, "V D"]
    inside: Bool[np.ndarray, "V D"]

    @property
    def depths(self) -> Integer[np.ndarray, " V"]:
        """How many turns lead to each word."""
        return self.inside.sum(1)


def huffman_tree(counts: Integer[np.ndarray, " V"]) -> HuffmanTree:
    r"""The binary tree in which the mean path, weighted by the counts, is shortest.

    The two rarest nodes are joined, again and again; of equal ones those that came
    first. The root is the inner node 0. The mean depth lies between the entropy of the
    words, in bits, and one more.

    Args:
        counts: how often each word occurs.

    Raises:
        TypeError: if the counts are no whole numbers.
        ValueError: if there are fewer than two, or one is negative.

    Source:
        Huffman (1952), Proceedings of the IRE 40(9).

    Example:
        >>> huffman_tree(np.array([3, 1, 2])).turns
        array([[0, 0],
               [1, 1],
               [1, 0]])
    """
    if not isinstance(counts, np.ndarray) or counts.dtype.kind not in "iu":
        raise TypeError(
            "counts must be a NumPy array of whole numbers, got "
            f"{_check.describe(counts)}"
        )
    if counts.ndim != 1 or len(counts) < 2 or counts.min() < 0:
        raise ValueError(
            "counts must be two or more, none of them negative, got "
            f"{_check.describe(counts)}"
        )
    size = len(counts)
    heap = [(count, number) for number, count in enumerate(counts.tolist())]
    heapq.heapify(heap)
    parent, turn = {}, {}
    for node in range(size, 2 * size - 1):
        (first, a), (second, b) = heapq.heappop(heap), heapq.heappop(heap)
        rare, often = (a, b) if first < second else (b, a)
        parent[often], turn[often] = node, 0
        parent[rare], turn[rare] = node, 1
        heapq.heappush(heap, (first + second, node))
    root = 2 * size - 2
    paths = []
    for word in range(size):
        path, place = [], word
        while place != root:
            path.append((root - parent[place], turn[place]))
            place = parent[place]
        paths.append(path[::-1])
    depth = max(map(len, paths))
    table = np.zeros((3, size, depth), dtype=np.int64)
    for word, path in enumerate(paths):
        table[:2, word, : len(path)] = np.array(path).T
        table[2, word, : len(path)] = 1
    return HuffmanTree(table[0], table[1], table[2].astype(bool))


class HierarchicalSoftmax(nn.Module):
    r"""Probabilities of words as products of turns along their path in a tree.

    .. math::
        p(w \mid h) = \prod_{j} \sigma\bigl((1 - 2 t_j)\, v_{n_j}^\top h\bigr)

    with the nodes :math:`n_j` and the turns :math:`t_j` on the way to w. One word costs
    as many dot products as its path is long; they sum to one over all words.

    Args:
        counts: how often each word occurs; see :func:`huffman_tree`.
        embedding_dim: E.
        device: where the parameters are made.
        dtype: of the parameters.

    Attributes:
        weight: (V - 1, E), v, a row an inner node; zeros to begin with.
        counts: as given.
        embedding_dim: E.
        num_embeddings: V.

    Raises:
        TypeError, ValueError: see :func:`huffman_tree`.

    Source:
        Morin & Bengio (2005), AISTATS; with Huffman's tree: Mikolov et al. (2013),
        arXiv:1310.4546, equation 3.

    Example:
        >>> output = HierarchicalSoftmax(np.array([8, 4, 2, 1, 1]), 3)
        >>> output(torch.zeros(1, 3), torch.tensor([0])).exp()
        tensor([0.5000], grad_fn=<ExpBackward0>)
    """

    nodes: Tensor
    signs: Tensor

    def __init__(
        self,
        counts: Integer[np.ndarray, " V"],
        embedding_dim: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.embedding_dim = _check.integer("embedding_dim", embedding_dim, 1)
        tree = huffman_tree(counts)
        self.counts = counts.copy()
        self.num_embeddings = len(counts)
        self.weight = nn.Parameter(
            torch.zeros(len(counts) - 1, embedding_dim, device=device, dtype=dtype)
        )
        signs = torch.tensor((1 - 2 * tree.turns) * tree.inside)
        self.register_buffer("nodes", torch.tensor(tree.nodes).to(device))
        self.register_buffer("signs", signs.to(device))

    def forward(
        self, hidden: Float[Tensor, "B E"], target: Int[Tensor, " B"]
    ) -> Float[Tensor, " B"]:
        """The logarithm of the probability of one word each.

        Args:
            hidden: (B, E) h.
            target: (B,) numbers of words.
        """
        _check.tensor("hidden", hidden, "B E", E=self.embedding_dim, empty=True)
        nodes = F.embedding(target, self.nodes)  # which refuses numbers below 0
        scores = torch.einsum("bde,be->bd", self.weight[nodes], hidden)
        return _path(scores, self.signs[target])

    def log_prob(self, hidden: Float[Tensor, "B E"]) -> Float[Tensor, "B V"]:
        """The logarithms of the probabilities of all words, at the cost of all nodes.

        Args:
            hidden: (B, E).
        """
        _check.tensor("hidden", hidden, "B E", E=self.embedding_dim, empty=True)
        scores = (hidden @ self.weight.T)[:, self.nodes]
        return _path(scores, self.signs)

    def extra_repr(self) -> str:
        """The settings, for printing."""
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, depth={self.nodes.shape[1]}"
        )


def _path(scores: Tensor, signs: Tensor) -> Tensor:
    """Sum of log sigmoids along paths; places beyond their end count nothing."""
    taken = F.logsigmoid(scores * signs)
    return torch.where(signs == 0, 0, taken).sum(-1)
