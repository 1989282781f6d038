"""Vectors of words trained by prediction, with gradients written out.

Shape legend: V words, E numbers of a vector, B pairs of a batch, C words of a context,
K places of the output that one pair looks at: a true word and its noise, or the nodes
of a path.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from dlref import _check
from dlref.words import _sentences
from dlref.words.prediction_based.huffman import huffman_tree
from dlref.words.prediction_based.sampling import (
    context_pairs,
    keep_probability,
    noise_distribution,
    subsample,
    windows,
)

__all__ = ["TrainedVectors", "train_word2vec"]

ARCHITECTURES = ("skip-gram", "cbow")
OUTPUTS = ("negative", "hierarchical")


class TrainedVectors(NamedTuple):
    """What :func:`train_word2vec` gives.

    Attributes:
        input: (V, E) the vectors of words; what is meant by word vectors.
        output: (V, E) the vectors of words that are predicted, or (V - 1, E) those of
            the tree's inner nodes.
        losses: the mean loss of a pair, epoch by epoch.

    Source:
        See :func:`train_word2vec`.

    Example:
        >>> TrainedVectors(np.zeros((2, 1)), np.zeros((2, 1)), [4.2]).losses
        [4.2]
    """

    input: Float[np.ndarray, "V E"]
    output: Float[np.ndarray, "O E"]
    losses: list[float]


def train_word2vec(
    sentences: Sequence[Integer[np.ndarray, " _"]],
    size: int,
    *,
    architecture: str = "skip-gram",
    output: str = "negative",
    vector_size: int = 100,
    window: int = 5,
    negative: int = 5,
    power: float = 0.75,
    sample: float = 1e-3,
    epochs: int = 5,
    lr: float = 0.025,
    min_lr: float = 1e-4,
    batch_size: int = 1024,
    seed: int = 0,
) -> TrainedVectors:
    r"""Train skip-gram or CBOW vectors by stochastic gradient descent.

    Each epoch draws anew which tokens of frequent words are kept, how far each window
    reaches, and the noise. The rate falls in a straight line. The gradients of a batch
    are added up, not averaged: a pair counts as in a step of its own; but where a word
    comes so often in a batch that its rates add up to more than 1, they are scaled down
    to 1, or its steps would overshoot.

    Args:
        sentences: numbers of words, 0 to ``size`` - 1.
        size: V.
        architecture: ``"skip-gram"`` predicts each word of the window from the word in
            the middle, ``"cbow"`` the word in the middle from the mean of the window.
        output: ``"negative"`` tells true words from noise, ``"hierarchical"`` walks
            down a Huffman tree.
        vector_size: E.
        window: the largest distance of a context.
        negative: how many words of noise a true one is told from.
        power: of the counts in the noise; see :func:`noise_distribution`.
        sample: the threshold of :func:`keep_probability`; infinite keeps all.
        epochs: how often the text is read.
        lr: the rate at the start.
        min_lr: the rate at the end.
        batch_size: B.
        seed: of everything that is drawn.

    Returns:
        Vectors in single precision.

    Raises:
        TypeError: if a sentence holds anything but whole numbers, or a setting is no
            number.
        ValueError: if no pair of words is left, or a setting is out of range.

    Source:
        Mikolov et al. (2013), arXiv:1310.4546. differs: word2vec.c takes pairs one
        after another, in the order of the text; here they are shuffled and taken in
        batches. Noise that happens to be the true word is left out, as there.

    Example:
        >>> text = [np.array([0, 1, 2, 1, 0, 2])] * 20
        >>> train_word2vec(text, 3, vector_size=4, sample=1.0).input.shape
        (3, 4)
    """
    _check.one_of("architecture", architecture, ARCHITECTURES)
    _check.one_of("output", output, OUTPUTS)
    size = _check.integer("size", size, 2)
    vector_size = _check.integer("vector_size", vector_size, 1)
    negative = _check.integer("negative", negative, 1)
    epochs = _check.integer("epochs", epochs, 1)
    batch_size = _check.integer("batch_size", batch_size, 1)
    lr = _check.real("lr", lr, "(0, inf)")
    min_lr = _check.real("min_lr", min_lr, "[0, inf)")
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    numbers = _sentences.joined(sentences, size).numbers
    if len(numbers) == 0:
        raise ValueError("sentences must hold words, got none")
    counts = np.bincount(numbers, minlength=size)
    keep = (
        np.ones(size)
        if sample == np.inf
        else keep_probability(counts, threshold=sample)
    )
    places = _Tree(counts) if output == "hierarchical" else None
    noise = noise_distribution(counts, power=power)
    rows = size if places is None else size - 1
    start = rng.uniform(-0.5, 0.5, (size, vector_size)) / vector_size
    u = torch.tensor(start, dtype=torch.float32)
    v = torch.zeros(rows, vector_size)
    losses = []
    for epoch in range(epochs):
        kept = subsample(sentences, keep, seed=int(rng.integers(2**31)))
        words, contexts = _examples(kept, architecture, window, rng)
        if len(words) == 0:
            raise ValueError("sentences must leave a pair of words near each other")
        total = 0.0
        width = negative if places is None else 0
        drawn = _draws(noise, (len(words), width), rng)
        for first in range(0, len(words), batch_size):
            part = slice(first, first + batch_size)
            done = (epoch + first / len(words)) / epochs
            rate = lr + (min_lr - lr) * done
            if places is None:
                looked_at, labels, counted = _against_noise(words[part], drawn[part])
            else:
                looked_at, labels, counted = places.of(words[part])
            total += _step(u, v, contexts[part], looked_at, labels, counted, rate)
        losses.append(total / len(words))
    return TrainedVectors(u.numpy(), v.numpy(), losses)


def _step(
    u: Tensor,
    v: Tensor,
    context: Tensor,
    looked_at: Tensor,
    labels: Tensor,
    counted: Tensor,
    rate: float,
) -> float:
    """One step of gradient descent on a batch; the sum of its losses before."""
    there = context >= 0
    share = there.to(u.dtype)
    share /= share.sum(1, keepdim=True)  # 1/C of the mean, 0 where there is none
    rows = context.clamp(min=0)
    inputs = u.index_select(0, rows.flatten()).unflatten(0, rows.shape)
    h = torch.einsum("bc,bce->be", share, inputs)
    outputs = v.index_select(0, looked_at.flatten()).unflatten(0, looked_at.shape)
    scores = torch.einsum("bke,be->bk", outputs, h)
    slope = (labels - scores.sigmoid()) * counted
    dh = torch.bmm(slope[:, None], outputs)
    du = (share * _rates(len(u), rows, there, rate))[..., None] * dh
    dv = (slope * _rates(len(v), looked_at, counted > 0, rate))[..., None] * h[:, None]
    _add(u, rows, du)
    _add(v, looked_at, dv)
    signed = torch.where(labels > 0, -scores, scores)
    return float((F.softplus(signed) * counted).sum())


def _rates(size: int, rows: Tensor, counted: Tensor, rate: float) -> Tensor:
    """The rate of each place, less where its row comes so often that they exceed 1."""
    often = torch.bincount(rows.flatten(), counted.flatten().float(), minlength=size)
    return (1 / often.clamp(min=1)).clamp(max=rate)[rows]


def _add(table: Tensor, rows: Tensor, values: Tensor) -> None:
    """Add values to rows of a table, those of a row that comes twice both."""
    place = rows.reshape(-1, 1).expand(-1, table.shape[1])
    table.scatter_add_(0, place, values.reshape(-1, table.shape[1]))


def _examples(
    sentences: list[np.ndarray],
    architecture: str,
    window: int,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Words to be predicted, (N,), and the contexts they are predicted from, (N, C)."""
    seed = int(rng.integers(2**31))
    if architecture == "skip-gram":
        pairs = context_pairs(sentences, window=window, seed=seed)
        order = rng.permutation(len(pairs.centre))
        words, contexts = pairs.context[order], pairs.centre[order, None]
        return torch.from_numpy(words), torch.from_numpy(contexts)
    numbers, other = windows(sentences, window=window, shrink=True, seed=seed)
    contexts = np.where(other >= 0, numbers[other], -1)
    order = rng.permutation(np.flatnonzero((other >= 0).any(1)))
    return torch.from_numpy(numbers[order]), torch.from_numpy(contexts[order])


def _draws(
    noise: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> Tensor:
    """Independent draws: how often each word comes, then their order."""
    often = rng.multinomial(shape[0] * shape[1], noise)
    drawn = np.repeat(np.arange(len(noise)), often)
    rng.shuffle(drawn)
    return torch.from_numpy(drawn.reshape(shape))


def _against_noise(words: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each word first and then its noise; label 1 for the word, 0 for the noise."""
    looked_at = torch.cat((words[:, None], noise), 1)
    labels = torch.zeros(looked_at.shape)
    labels[:, 0] = 1
    counted = (looked_at != words[:, None]).float()
    counted[:, 0] = 1
    return looked_at, labels, counted


class _Tree:
    """The nodes on the way to each word; label 1 for left."""

    def __init__(self, counts: np.ndarray) -> None:
        tree = huffman_tree(counts)
        self.nodes = torch.from_numpy(tree.nodes)
        self.labels = torch.from_numpy(1 - tree.turns).float()
        self.inside = torch.from_numpy(tree.inside).float()

    def of(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes, labels, and which places of a path are its own."""
        return self.nodes[words], self.labels[words], self.inside[words]
