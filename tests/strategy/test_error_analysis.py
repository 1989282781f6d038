"""Mirrors dlref/strategy/error_analysis.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlref.strategy import Kind, corrected_error, flip_labels, measured_error, tally


@pytest.mark.verifies("eq-left-at-best")
@pytest.mark.parametrize(
    ("dogs", "left", "share", "between"),
    [(5, 0.095, (0.022, 0.112), (0.089, 0.098)), (50, 0.05, (0.404, 0.596), (0.040, 0.060))],
)
def test_dogs_among_the_mistakes(dogs, left, share, between):
    """10% error, so many of a hundred mistakes are dogs."""
    (kind,) = tally([{"dog"}] * dogs + [set()] * (100 - dogs), 0.10)
    assert isinstance(kind, Kind)
    assert kind[:3] == ("dog", dogs, dogs / 100)
    assert round(kind.left, 6) == left
    assert tuple(round(end, 3) for end in kind.share_interval) == share
    assert tuple(round(end, 3) for end in kind.left_interval) == between


@given(st.lists(st.frozensets(st.sampled_from("abc")), min_size=1, max_size=30), st.floats(0, 1))
def test_tally_counts_each_kind_once_a_mistake(mistakes, error):
    kinds = tally(mistakes, error, confidence=0.9)
    assert {k.name: k.found for k in kinds} == {
        name: sum(name in m for m in mistakes) for name in set().union(*mistakes)
    }
    assert [(-k.found, k.name) for k in kinds] == sorted((-k.found, k.name) for k in kinds)
    for k in kinds:
        low, high = stats.binomtest(k.found, len(mistakes)).proportion_ci(0.9, method="wilson")
        np.testing.assert_allclose(k.share_interval, (low, high), atol=1e-9)
        np.testing.assert_allclose(k.left_interval, (error * (1 - high), error * (1 - low)), atol=1e-9)
        np.testing.assert_allclose(k.left, error * (1 - k.found / len(mistakes)), atol=1e-12)


def test_a_kind_named_twice_counts_once():
    assert tally([["dog", "dog"], ("dog", "blurred")], 0.5)[0].found == 2


@pytest.mark.verifies("eq-corrected-error")
@given(st.floats(0, 1), st.floats(0, 0.45))
def test_flipped_labels_are_taken_out_again(e, f):
    np.testing.assert_allclose(corrected_error(measured_error(e, f), f), e, atol=1e-9)


def test_two_per_cent_by_labels_of_which_five_are_wrong():
    assert round(corrected_error(0.068, 0.05), 10) == 0.02
    assert corrected_error(0.04, 0.05) < 0
    # relabelling the mistakes alone: those with a right label stay, those of a wrong label are not found
    rng = np.random.default_rng(0)
    wrong, flipped = rng.random((2, 1_000_000)) < np.array([[0.02], [0.05]])
    seen = wrong != flipped
    assert abs(seen.mean() - 0.068) < 1e-3
    assert abs((wrong & seen).mean() - 0.019) < 1e-3


@given(st.integers(2, 6), st.integers(1, 60), st.floats(0, 1), st.integers(0, 5))
def test_random_flips(classes, size, rate, seed):
    labels = np.random.default_rng(0).integers(classes, size=size)
    before = labels.copy()
    found = flip_labels(labels, rate, classes=classes, seed=seed)
    np.testing.assert_array_equal(labels, before)
    assert (found != labels).sum() == round(rate * size)
    assert found.min() >= 0
    assert found.max() < classes
    np.testing.assert_array_equal(found, flip_labels(labels, rate, classes=classes, seed=seed))


def test_random_flips_favour_no_class_and_no_place():
    labels = np.zeros(30_000, dtype=np.int64)
    found = flip_labels(labels, 0.5, classes=4)
    counts = np.bincount(found, minlength=4)
    assert counts[0] == 15_000
    assert stats.chisquare(counts[1:]).pvalue > 1e-3
    assert abs((found[:15_000] != 0).mean() - 0.5) < 0.02
    other = flip_labels(labels, 0.5, classes=4, seed=1)
    assert (found != other).any()
    np.testing.assert_array_equal(found, flip_labels(labels, 0.5, classes=4, seed=0))


def test_habits_change_only_their_classes():
    labels = np.arange(100) % 5
    found = flip_labels(labels, 0.3, classes=5, habits={1: 3, 4: 0})
    changed = found != labels
    assert changed.sum() == 30
    assert set(labels[changed]) == {1, 4}
    assert (found[changed & (labels == 1)] == 3).all()
    assert (found[changed & (labels == 4)] == 0).all()
    assert (flip_labels(labels, 0.2, classes=5, habits={0: 1})[labels == 0] == 1).all()


def test_small_types_do_not_wrap():
    for dtype in (np.int8, np.uint8):
        found = flip_labels(np.full(8, 100, dtype=dtype), 1.0, classes=300)
        assert found.dtype == np.int64
        assert found.min() >= 0
        assert flip_labels(np.full(8, 100, dtype=dtype), 1.0, classes=300, habits={100: 299}).tolist() == [299] * 8


LABELS = np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tally([], 0.1), ValueError, "mistakes must hold at least one, got none"),
        (lambda: tally(["dog"], 0.1), TypeError, "mistakes must hold collections of kinds, got 'dog' (str)"),
        (lambda: tally([3], 0.1), TypeError, "mistakes must hold collections of kinds, got 3 (int)"),
        (lambda: tally([{3}], 0.1), TypeError, "a kind must be a string that is not empty, got 3 (int)"),
        (lambda: tally([{"a"}], 1.1), ValueError, "error must be a number in [0, 1], got 1.1"),
        (lambda: tally([{"a"}], 0.1, confidence=1.0), ValueError, "confidence must be a number in (0, 1), got 1.0"),
        (lambda: corrected_error(1.5, 0.1), ValueError, "measured must be a number in [0, 1], got 1.5"),
        (lambda: corrected_error(0.5, 0.5), ValueError, "flipped must be a number in [0, 0.5), got 0.5"),
        (
            lambda: flip_labels([0, 1], 0.1, classes=2),
            TypeError,
            "labels must be an array of whole numbers, got [0, 1]",
        ),
        (lambda: flip_labels(np.ones(3), 0.1, classes=2), TypeError, "labels must be an array of whole numbers, got"),
        (lambda: flip_labels(LABELS, 0.1, classes=2), ValueError, "labels must have shape (m) and lie in [0, 1], got"),
        (lambda: flip_labels(LABELS - 1, 0.1, classes=3), ValueError, "labels must have shape (m) and lie in [0, 2]"),
        (lambda: flip_labels(LABELS[:0], 0.1, classes=3), ValueError, "labels must have shape (m) and lie in [0, 2]"),
        (lambda: flip_labels(LABELS[None], 0.1, classes=3), ValueError, "labels must have shape (m) and lie in"),
        (
            lambda: flip_labels(LABELS, 0.1, classes=3, habits=[(0, 1)]),
            TypeError,
            "habits must be a mapping from class to class, got [(0, 1)] (list)",
        ),
        (lambda: flip_labels(LABELS, 1.1, classes=3), ValueError, "rate must be a number in [0, 1], got 1.1"),
        (lambda: flip_labels(LABELS, 0.1, classes=1), ValueError, "classes must be an integer >= 2, got 1"),
        (lambda: flip_labels(LABELS, 0.1, classes=3, seed=-1), ValueError, "seed must be an integer >= 0, got -1"),
        (
            lambda: flip_labels(LABELS, 0.1, classes=3, habits={0: 3}),
            ValueError,
            "habits must be an integer in [0, 2], got 3",
        ),
        (
            lambda: flip_labels(LABELS, 0.1, classes=3, habits={1: 1}),
            ValueError,
            "habits must change each class, got 1 for itself",
        ),
        (
            lambda: flip_labels(LABELS, 0.6, classes=3, habits={0: 1}),
            ValueError,
            "rate must leave at most 1 labels to be made wrong, those with a habit, got 2",
        ),
    ],
)
def test_bad_input_is_refused(refuses, call, error, message):
    refuses(call, (), error, message)
