"""What the tests of metrics draw."""

import numpy as np
import pytest
from hypothesis import strategies as st

WEIGHTS = st.sampled_from([0.0, 0.25, 1.0, 1.5, 7.0])


@st.composite
def _labelled(draw, classes=None):
    """Classes, predictions, and weights or none: few classes, so that some are missing on one side."""
    size = draw(st.integers(1, 12))
    names = np.array(draw(st.sampled_from([[0, 1], [0, 1, 2, 5], ["a", "b", "cc"]])) if classes is None else classes)
    true, pred = (np.array(draw(st.lists(st.sampled_from(list(names)), min_size=size, max_size=size))) for _ in "tp")
    return true, pred, draw(_weights(size))


@st.composite
def _weights(draw, size):
    weight = draw(st.none() | st.lists(WEIGHTS, min_size=size, max_size=size))
    return None if weight is None or sum(weight) == 0 else np.array(weight)


@st.composite
def _scored(draw):
    """Classes 0 and 1, scores among which many are equal, and weights or none."""
    size = draw(st.integers(2, 12))
    true = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    score = draw(st.lists(st.integers(0, 5) | st.floats(0, 5), min_size=size, max_size=size))
    return true, np.array(score, dtype=float) / 5, draw(_weights(size))


@st.composite
def _probable(draw):
    """Several classes that all occur, with probabilities, among which many are equal."""
    classes = draw(st.integers(3, 4))
    more = draw(st.lists(st.integers(0, classes - 1), max_size=8))
    true = np.array(draw(st.permutations([*range(classes), *more])))
    parts = st.lists(st.integers(1, 4), min_size=classes, max_size=classes)
    prob = np.array([draw(parts) for _ in true], dtype=float)
    return true, prob / prob.sum(1, keepdims=True), draw(_weights(len(true)))


@pytest.fixture(scope="session")
def labelled():
    return _labelled


@pytest.fixture(scope="session")
def scored():
    return _scored()


@pytest.fixture(scope="session")
def probable():
    return _probable()
