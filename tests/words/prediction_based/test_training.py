"""Mirrors dlref/words/prediction_based/training.py."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dlref.words import (
    TrainedVectors,
    cooccurrences,
    huffman_tree,
    pmi,
    train_word2vec,
)
from dlref.words.prediction_based import training

RNG = np.random.default_rng(0)
TWO_TOPICS = [RNG.integers(0, 4, 12) + 4 * (i % 2) for i in range(150)]
SMALL = {"vector_size": 8, "sample": math.inf, "window": 3}


def example(seed, context_size, nodes):
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    v = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    context = torch.randint(0, 6, (5, context_size), generator=generator)
    context[0, 1:] = -1
    looked_at = torch.randint(0, 6, (5, nodes), generator=generator)  # rows come twice
    labels = torch.randint(0, 2, (5, nodes), generator=generator).double()
    counted = torch.randint(0, 2, (5, nodes), generator=generator).double()
    return u, v, context, looked_at, labels, counted


@pytest.mark.verifies("eq-negative-sampling-gradients")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("context_size", "nodes"), [(1, 4), (3, 1), (4, 5)])
def test_a_step_is_autograds(seed, context_size, nodes):
    u, v, context, looked_at, labels, counted = example(seed, context_size, nodes)
    U, V = (x.clone().requires_grad_() for x in (u, v))
    there = (context >= 0)[..., None]
    h = torch.where(there, U[context.clamp(min=0)], 0).sum(1) / there.sum(1)
    scores = (V[looked_at] * h[:, None]).sum(-1)
    loss = (F.binary_cross_entropy_with_logits(scores, labels, reduction="none") * counted).sum()
    loss.backward()
    made = training._step(u, v, context, looked_at, labels, counted, 0.04)
    assert made == pytest.approx(loss.item())
    torch.testing.assert_close(u, U.detach() - 0.04 * U.grad)
    torch.testing.assert_close(v, V.detach() - 0.04 * V.grad)


def test_what_comes_often_is_held():
    """Rows 0 and 1 come four times and once: with the rate 0.5 the first is held to a mean."""
    rows, counted = torch.tensor([[0, 0, 1], [0, 0, 2]]), torch.tensor([[True, True, True], [True, True, False]])
    assert training._rates(3, rows, counted, 0.5).tolist() == [[0.25, 0.25, 0.5], [0.25, 0.25, 0.5]]
    some = torch.tensor([[True, False, True], [True, True, False]])  # what is not counted has no part in it
    assert training._rates(3, rows, some, 0.5).tolist() == [[pytest.approx(1 / 3)] * 2 + [0.5]] * 2
    table = torch.zeros(3, 1)
    training._add(table, rows, torch.arange(6.0).reshape(2, 3, 1))
    assert table.flatten().tolist() == [0 + 1 + 3 + 4, 2, 5]


def test_the_noise_and_what_counts():
    words, noise = torch.tensor([3, 1]), torch.tensor([[3, 0], [2, 1]])
    looked_at, labels, counted = training._against_noise(words, noise)
    assert looked_at.tolist() == [[3, 3, 0], [1, 2, 1]]
    assert labels.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert counted.tolist() == [[1, 0, 1], [1, 1, 0]]  # a word is not its own noise
    share = np.array([0.7, 0.2, 0.1])
    drawn = training._draws(share, (20_000, 2), np.random.default_rng(0))
    assert drawn.shape == (20_000, 2)
    assert np.bincount(drawn.flatten()) / 40_000 == pytest.approx(share, abs=0.01)
    for column in drawn.T:  # no place is like another
        assert np.bincount(column) / 20_000 == pytest.approx(share, abs=0.015)


def test_paths_of_the_tree():
    counts = np.array([8, 4, 2, 1, 1])
    tree = huffman_tree(counts)
    nodes, labels, inside = training._Tree(counts).of(torch.tensor([3, 0]))
    assert (nodes.numpy() == tree.nodes[[3, 0]]).all()
    assert (labels.numpy() == 1 - tree.turns[[3, 0]]).all()
    assert (inside.numpy() == tree.inside[[3, 0]]).all()


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("output", ["negative", "hierarchical"])
def test_words_of_one_topic_come_together(architecture, output):
    made = train_word2vec(TWO_TOPICS, 8, architecture=architecture, output=output, epochs=30, lr=0.1, **SMALL)
    assert isinstance(made, TrainedVectors)
    assert made.input.shape == (8, 8)
    assert made.output.shape == ((8, 8) if output == "negative" else (7, 8))
    assert made.input.dtype == np.float32
    assert len(made.losses) == 30
    assert made.losses[-1] < made.losses[0]
    directions = made.input / np.linalg.norm(made.input, axis=1, keepdims=True)
    cosines = directions @ directions.T
    same = np.arange(8)[:, None] // 4 == np.arange(8) // 4
    off = ~np.eye(8, dtype=bool)
    assert cosines[same & off].min() > cosines[~same].max()


def test_the_first_loss_is_that_of_zeros():
    made = train_word2vec(TWO_TOPICS, 8, epochs=1, lr=1e-9, min_lr=0.0, negative=5, **SMALL)
    assert 4 * math.log(2) < made.losses[0] < 6 * math.log(2)  # noise that is the word itself is left out
    tree = train_word2vec(TWO_TOPICS, 8, epochs=1, lr=1e-9, min_lr=0.0, output="hierarchical", **SMALL)
    assert tree.losses[0] == pytest.approx(3 * math.log(2), rel=0.1)


@pytest.mark.verifies("eq-shifted-pmi")
def test_fact_of_the_shifted_pmi():
    """Levy and Goldberg: with room enough, u v is PMI less log k at the optimum, for noise from the raw counts."""
    table = np.array([[4, 0, 4], [0, 4, 4], [4, 4, 8]])
    information = pmi(table, base=math.e)
    for k, expected in ((1, 0.6931), (2, 0.0), (5, -0.9163)):
        scores = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
        pairs, words = torch.tensor(table / 32.0), torch.tensor(table.sum(0) / 32.0)
        best = torch.optim.LBFGS([scores], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

        def loss(k=k, scores=scores, pairs=pairs, words=words):
            noise = words[:, None] * words
            return -(pairs * F.logsigmoid(scores) + k * noise * F.logsigmoid(-scores)).sum()

        def closure(best=best, loss=loss):
            best.zero_grad()
            value = loss()
            value.backward()
            return value

        best.step(closure)
        seen = table > 0
        assert scores.detach().numpy()[seen] == pytest.approx(information[seen] - math.log(k), abs=1e-4)
        assert scores[0, 0].item() == pytest.approx(expected, abs=1e-4)


def test_on_a_text_the_scores_follow_the_pmi():
    rng = np.random.default_rng(1)
    topics = rng.dirichlet(np.full(30, 0.2), 5)
    sentences = [rng.choice(30, 20, p=topics[i % 5]) for i in range(600)]
    made = train_word2vec(sentences, 30, vector_size=30, power=1.0, sample=math.inf, epochs=15, negative=3, lr=0.05)
    counts = cooccurrences(sentences, 30, weighting="linear").toarray()
    often = counts > 100
    scores = (made.input @ made.output.T)[often]
    expected = pmi(counts, base=math.e)[often] - math.log(3)
    assert np.corrcoef(scores, expected)[0, 1] > 0.9


def test_seeds_and_defaults():
    first, again, other = (train_word2vec(TWO_TOPICS, 8, epochs=1, seed=seed, **SMALL) for seed in (0, 0, 1))
    assert (first.input == again.input).all()
    assert (first.output == again.output).all()
    assert not (first.input == other.input).all()
    default = train_word2vec(TWO_TOPICS[:20], 8)
    spelt = train_word2vec(
        TWO_TOPICS[:20],
        8,
        architecture="skip-gram",
        output="negative",
        vector_size=100,
        window=5,
        negative=5,
        power=0.75,
        sample=1e-3,
        epochs=5,
        lr=0.025,
        min_lr=1e-4,
        batch_size=1024,
        seed=0,
    )
    assert (default.input == spelt.input).all()
    changes = {
        "window": 4, "negative": 2, "power": 0.5, "sample": 0.5, "epochs": 2, "lr": 0.05, "min_lr": 0.02,
        "batch_size": 3,
    }  # fmt: skip
    for name, value in changes.items():
        changed = train_word2vec(TWO_TOPICS[:20], 8, **{name: value})
        assert not (changed.input == default.input).all(), name


def test_the_rate_falls_to_its_end(monkeypatch):
    rates = []
    step = training._step
    monkeypatch.setattr(training, "_step", lambda *a: rates.append(a[-1]) or step(*a))
    train_word2vec(TWO_TOPICS, 8, epochs=2, lr=0.4, min_lr=0.1, batch_size=64, **SMALL)
    assert rates[0] == 0.4
    assert 0.1 < rates[-1] < 0.105
    assert np.diff(rates).max() < 0
    assert np.diff(rates, 2) == pytest.approx(0, abs=1e-3)


def test_the_start():
    made = train_word2vec(TWO_TOPICS, 8, epochs=1, lr=1e-12, min_lr=0.0, vector_size=500, seed=2)
    assert 0.9e-3 < abs(made.input).max() <= 1e-3
    assert made.input.std() == pytest.approx(1e-3 / 3**0.5, rel=0.05)
    assert abs(made.output).max() < 1e-6


def test_bad_input_names_the_offender(unchecked):
    x = TWO_TOPICS[:2]
    for name, value, message in [
        ("architecture", "glove", "architecture must be one of 'skip-gram', 'cbow', got 'glove'"),
        ("output", "softmax", "output must be one of 'negative', 'hierarchical', got 'softmax'"),
        ("vector_size", 0, "vector_size must be an integer >= 1, got 0"),
        ("window", 0, "window must be an integer >= 1, got 0"),
        ("negative", 0, "negative must be an integer >= 1, got 0"),
        ("epochs", 0, "epochs must be an integer >= 1, got 0"),
        ("batch_size", 0, "batch_size must be an integer >= 1, got 0"),
        ("lr", 0.0, r"lr must be a number in \(0, inf\)"),
        ("min_lr", -0.1, r"min_lr must be a number in \[0, inf\)"),
        ("power", 2.0, r"power must be a number in \[0, 1\]"),
        ("sample", 0.0, r"threshold must be a number in \(0, inf\)"),
        ("seed", -1, "seed must be an integer >= 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            train_word2vec(x, 8, **{name: value})
    with pytest.raises(ValueError, match="size must be an integer >= 2, got 1"):
        train_word2vec(x, 1)
    with pytest.raises(ValueError, match="sentences must hold numbers below 3"):
        train_word2vec(x, 3)
    with pytest.raises(ValueError, match="sentences must hold words, got none"):
        train_word2vec([np.array([], dtype=int)], 3)
    with pytest.raises(ValueError, match="sentences must leave a pair of words near each other"):
        train_word2vec([np.array([0]), np.array([1])], 3)
