"""Mirrors dlref/strategy/data_mismatch.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlref.strategy import Sources, SourceSplit, mix_noise, split_sources, tell_apart


@given(
    st.integers(0, 60), st.integers(10, 40), st.integers(0, 4), st.integers(0, 5), st.integers(0, 6), st.booleans(),
    st.integers(0, 3),
)  # fmt: skip
def test_parts_share_nothing_and_lose_nothing(other, own, dev, test, train_dev, shuffled, seed):
    settings = {"dev": dev, "test": test, "train_dev": min(train_dev, own - dev - test - 1), "shuffled": shuffled}
    if settings["train_dev"] < 0:
        settings["train_dev"] = 0
    parts = split_sources(other, own, seed=seed, **settings)
    assert isinstance(parts, SourceSplit)
    assert all(isinstance(part, Sources) for part in parts)
    assert sorted(np.concatenate([part.other for part in parts])) == list(range(other))
    assert sorted(np.concatenate([part.own for part in parts])) == list(range(own))
    sizes = {name: len(part.other) + len(part.own) for name, part in parts._asdict().items()}
    assert (sizes["dev"], sizes["test"], sizes["train_dev"]) == (dev, test, settings["train_dev"])
    if not shuffled:
        assert len(parts.dev.other) == len(parts.test.other) == 0


def test_draws_are_random_and_repeatable():
    one, again, other = (split_sources(50, 50, dev=20, test=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.dev.own, again.dev.own)
    assert set(one.dev.own) != set(other.dev.own)
    assert list(one.dev.own) != sorted(one.dev.own)
    np.testing.assert_array_equal(
        split_sources(50, 50, dev=20, test=20).test.own, split_sources(50, 50, dev=20, test=20, seed=0).test.own
    )


@pytest.mark.verifies("eq-own-share")
def test_two_hundred_thousand_from_the_web():
    """Shuffled, 119 of 2500 dev images are own, on average over the draws."""
    counts = [
        len(split_sources(200_000, 10_000, dev=2500, test=2500, shuffled=True, seed=s).dev.own) for s in range(30)
    ]
    assert abs(np.mean(counts) - 2500 * 10_000 / 210_000) < 6
    assert round(2500 * 10_000 / 210_000) == 119
    own = split_sources(200_000, 10_000, dev=2500, test=2500)
    assert len(own.dev.own) == 2500
    assert len(own.train.other) == 200_000
    assert len(own.train.own) == 5000


def test_the_train_dev_set_is_like_the_training_set():
    """Of both sources, in their proportion."""
    shares = [len(split_sources(800, 400, dev=0, test=0, train_dev=300, seed=s).train_dev.own) / 300 for s in range(40)]
    assert abs(np.mean(shares) - 1 / 3) < 0.02


def test_what_is_the_same_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2, 3))
    assert abs(tell_apart(x[:150], x[150:]) - 0.5) < 0.1
    assert tell_apart(x[:150], x[150:] + 9) == 1
    shifted = tell_apart(x[:150], x[150:] + 0.5)
    assert 0.7 < shifted < 1
    assert tell_apart(x[:150], x[150:] + 0.5, seed=1) != shifted
    assert tell_apart(x[:150], x[150:] + 0.5, n_splits=3) != shifted
    assert tell_apart(x[:150], x[150:] + 0.5, n_splits=5, seed=0) == shifted
    # a column that never changes, and another scale, change nothing
    same = np.concatenate([1e6 * x.reshape(300, 6), np.ones((300, 1))], 1)
    moved = same.copy()
    moved[:, :6] += 0.5e6
    np.testing.assert_allclose(tell_apart(same[:150], moved[150:]), shifted, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.float16, 255), (np.float32, 1e20), (np.float32, 1e-30), (np.float64, 1e170), (np.float64, 1e-170)],
)
def test_huge_and_tiny_values_are_told_apart_alike(dtype, scale):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)) * 50 / 255 + 0.5
    x[150:] += 0.2
    wanted = tell_apart(x[:150], x[150:])
    scaled = (x * scale).astype(dtype)
    np.testing.assert_allclose(tell_apart(scaled[:150], scaled[150:]), wanted, atol=2e-3)


def test_the_larger_set_does_not_win_by_its_size():
    rng = np.random.default_rng(0)
    assert abs(tell_apart(rng.normal(size=(400, 3)), rng.normal(size=(40, 3))) - 0.5) < 0.15


def test_noise_is_added_from_the_pool():
    x = np.arange(12.0).reshape(6, 2)
    noises = np.array([[100.0, 200.0], [1000.0, 2000.0]])
    found = mix_noise(x, noises, scale=2.0, seed=3) - x
    kinds = {tuple(row) for row in found}
    assert kinds == {(200.0, 400.0), (2000.0, 4000.0)}
    np.testing.assert_array_equal(x, np.arange(12.0).reshape(6, 2))
    np.testing.assert_array_equal(mix_noise(x, noises, scale=2.0, seed=3) - x, found)
    np.testing.assert_array_equal(mix_noise(x, noises[:1]), mix_noise(x, noises[:1], scale=1.0, seed=5))
    many = mix_noise(np.zeros((2000, 2)), noises)
    assert abs((many[:, 0] == 100).mean() - 0.5) < 0.05
    np.testing.assert_array_equal(many, mix_noise(np.zeros((2000, 2)), noises, seed=0))
    assert mix_noise(np.zeros((2, 2), dtype=np.float32), np.ones((1, 2), dtype=np.float32)).dtype == np.float32


X = np.zeros((6, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: split_sources(-1, 5, dev=1, test=1), ValueError, "other must be an integer >= 0, got -1"),
        (lambda: split_sources(5, 0, dev=1, test=1), ValueError, "own must be an integer >= 1, got 0"),
        (lambda: split_sources(5, 5, dev=-1, test=1), ValueError, "dev must be an integer >= 0, got -1"),
        (lambda: split_sources(5, 5, dev=1, test=1.5), TypeError, "test must be an integer >= 0, got 1.5 (float)"),
        (lambda: split_sources(5, 5, dev=1, test=1, train_dev=-1), ValueError, "train_dev must be an integer >= 0"),
        (lambda: split_sources(5, 5, dev=1, test=1, seed=-1), ValueError, "seed must be an integer >= 0, got -1"),
        (
            lambda: split_sources(5, 5, dev=3, test=3),
            ValueError,
            "dev and test must have at most own=5 examples, got 6",
        ),
        (
            lambda: split_sources(5, 5, dev=2, test=2, train_dev=6),
            ValueError,
            "dev, test and train_dev must leave some of 10 examples to train on, got 10",
        ),
        (lambda: tell_apart([[1.0]], X), TypeError, "a must be an array of floats, got [[1.0]] (list)"),
        (lambda: tell_apart(X, X.astype(int)), TypeError, "b must be an array of floats, got int64 array"),
        (
            lambda: tell_apart(X, np.zeros((6, 3))),
            ValueError,
            "b must hold at least 5 examples of the shape (2,), got float64 array of shape (6, 3)",
        ),
        (lambda: tell_apart(X[:, :0], X[:, :0]), ValueError, "a must hold at least 5 examples of the shape (0,)"),
        (lambda: tell_apart(X[:4], X), ValueError, "a must hold at least 5 examples of the shape (2,)"),
        (lambda: tell_apart(X[:, 0], X[:, 0]), ValueError, "a must hold at least 5 examples of the shape ()"),
        (lambda: tell_apart(X, X * np.nan), ValueError, "b must be finite, got NaN or infinite values"),
        (lambda: tell_apart(X, X, n_splits=1), ValueError, "n_splits must be an integer >= 2, got 1"),
        (lambda: mix_noise(X, X.astype(int)), TypeError, "noises must be an array of floats, got int64 array"),
        (lambda: mix_noise(X[0], X), ValueError, "x must hold at least one example of the shape ()"),
        (lambda: mix_noise(X, X[:0]), ValueError, "noises must hold at least one example of the shape (2,), got"),
        (lambda: mix_noise(X, np.zeros((6, 3))), ValueError, "noises must hold at least one example of the shape (2,)"),
        (lambda: mix_noise(X, X, scale=np.nan), ValueError, "scale must be a number in (-inf, inf), got nan"),
        (lambda: mix_noise(X, X, seed=-1), ValueError, "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_input_is_refused(refuses, call, error, message):
    refuses(call, (), error, message)


def test_the_unit_of_each_number_makes_no_difference():
    """Nor where it begins; and a number that is always zero says nothing."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 4))
    x[100:, 1] += 0.7
    wanted = tell_apart(x[:100], x[100:])
    assert 0.6 < wanted < 0.9
    other = np.concatenate([x * [1e-6, 1.0, 1e4, 30.0] + [0.0, 3.0, -7e4, 0.1], np.zeros((200, 1))], 1)
    np.testing.assert_allclose(tell_apart(other[:100], other[100:]), wanted, atol=2e-3)


def test_as_few_examples_and_as_many_held_out_as_can_be():
    rng = np.random.default_rng(0)
    assert 0 <= tell_apart(rng.normal(size=(5, 2)), rng.normal(size=(5, 2))) <= 1
    found = split_sources(6, 5, dev=3, test=2)
    assert len(found.dev.own) + len(found.test.own) == 5
    assert len(found.train.own) == 0
    assert len(found.train.other) == 6
    assert sorted([*found.dev.own, *found.test.own]) == list(range(5))
