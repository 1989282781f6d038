"""Mirrors dlref/strategy/human_level_performance.py."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlref.strategy import (
    ErrorDiagnosis,
    Gap,
    combination_interval,
    diagnose_errors,
    disagreement,
    error_from_disagreement,
    majority_error,
    measured_error,
)


@given(st.floats(0, 1), st.sampled_from([1, 3, 5, 9, 999]))
@pytest.mark.verifies("eq-majority")
def test_majority_is_the_tail_of_a_binomial(p, n):
    np.testing.assert_allclose(majority_error(p, n), stats.binom.sf(n // 2, n, p), rtol=1e-10, atol=1e-15)


def test_three_annotators_who_err_in_ten_per_cent():
    assert round(majority_error(0.1, 3), 3) == 0.028
    assert majority_error(0.1, 1) == 0.1
    assert round(disagreement(0.1), 10) == 0.18


@given(st.floats(0, 0.5))
@pytest.mark.verifies("eq-disagreement")
def test_disagreement_and_back(p):
    """All cases: both right, one wrong, both wrong; on two classes those who are wrong agree."""
    outcomes = itertools.product((0, 1), repeat=2)
    differ = sum((p if a else 1 - p) * (p if b else 1 - p) for a, b in outcomes if a != b)
    np.testing.assert_allclose(disagreement(p), differ, atol=1e-15)
    np.testing.assert_allclose(error_from_disagreement(disagreement(p)), p, atol=1e-7)


@given(st.floats(0, 1), st.floats(0, 1))
@pytest.mark.verifies("eq-measured-by-reference")
def test_a_reference_that_errs_differs_where_one_of_the_two_is_wrong(e, q):
    """For annotators of one error this is their disagreement."""
    cases = itertools.product((0, 1), repeat=2)
    differ = sum((e if a else 1 - e) * (q if b else 1 - q) for a, b in cases if a != b)
    np.testing.assert_allclose(measured_error(e, q), differ, atol=1e-12)
    np.testing.assert_allclose(disagreement(e), measured_error(e, e), atol=1e-12)
    assert round(measured_error(0.02, 0.05), 10) == 0.068


def wilson(wrong, size, confidence):
    return stats.binomtest(wrong, size).proportion_ci(confidence, method="wilson")


@given(st.integers(0, 40), st.integers(0, 30), st.floats(0.5, 0.999))
@pytest.mark.verifies("eq-newcombe")
def test_interval_of_a_difference_is_newcombes(a, b, confidence):
    errors = {"a": (a, 40), "b": (b, 30)}
    (la, ua), (lb, ub) = wilson(a, 40, confidence), wilson(b, 30, confidence)
    pa, pb = a / 40, b / 30
    want = (
        pa - pb - np.hypot(pa - la, ub - pb),
        pa - pb + np.hypot(ua - pa, pb - lb),
    )
    found = combination_interval({"a": 1.0, "b": -1.0}, errors, confidence=confidence)
    np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12)


def test_known_errors_have_no_width():
    assert combination_interval({"a": 2.0, "b": -1.0}, {"a": 0.25, "b": 0.125}) == (0.375, 0.375)
    low, high = combination_interval({"a": -2.0, "b": 1.0}, {"a": (5, 50), "b": 0.5})
    np.testing.assert_allclose([low, high], [0.5 - 2 * e for e in wilson(5, 50, 0.95)[::-1]])


@pytest.mark.parametrize("coefficients", [(1.0, -1.0, 0.0), (1.0, -2.0, 1.0)])
def test_intervals_hold_what_they_promise(coefficients):
    """Of one step, and of the difference between two steps that share an error."""
    rng = np.random.default_rng(0)
    rates, sizes = np.array([0.02, 0.06, 0.1]), (300, 400, 200)
    truth = float(np.dot(coefficients, rates))
    factors = dict(zip("abc", coefficients, strict=True))
    held = 0
    for _ in range(1000):
        errors = {name: (int(rng.binomial(n, p)), n) for name, p, n in zip("abc", rates, sizes, strict=True)}
        low, high = combination_interval(factors, errors)
        held += low <= truth <= high
    assert 0.93 < held / 1000 < 0.98


@pytest.mark.verifies("eq-avoidable-bias")
def test_the_worked_examples():
    """Errors that are known: human 1% or 7.5%, training 8%, dev 10%."""
    told = diagnose_errors(human=0.01, training=0.08, dev=0.10)
    assert [(g.name, round(g.difference, 3), g.verdict) for g in told.gaps] == [
        ("avoidable bias", 0.07, "yes"),
        ("variance", 0.02, "yes"),
    ]
    assert told.largest == "avoidable bias"
    told = diagnose_errors(human=0.075, training=0.08, dev=0.10)
    assert round(told.gaps[0].difference, 3) == 0.005
    assert told.largest == "variance"


@pytest.mark.parametrize(
    ("errors", "differences", "largest"),
    [
        ((0.0, 0.01, 0.09, 0.10), [0.01, 0.08, 0.01], "variance"),
        ((0.0, 0.01, 0.015, 0.10), [0.01, 0.005, 0.085], "data mismatch"),
        ((0.04, 0.07, 0.10, 0.06), [0.03, 0.03, -0.04], "cannot tell"),
        ((0.0, 0.1, 0.11, 0.12), [0.1, 0.01, 0.01], "avoidable bias"),
    ],
)
def test_with_examples_like_those_of_training(errors, differences, largest):
    told = diagnose_errors(**dict(zip(("human", "training", "train_dev", "dev"), errors, strict=True)))
    assert [g.name for g in told.gaps] == ["avoidable bias", "variance", "data mismatch"]
    np.testing.assert_allclose([g.difference for g in told.gaps], differences, atol=1e-12)
    assert told.largest == largest


def test_five_errors():
    told = diagnose_errors(human=0.0, training=0.01, train_dev=0.02, dev=0.03, test=(300, 2000))
    assert [g.name for g in told.gaps][2:] == ["data mismatch", "overfitting of the dev set"]
    assert told.largest == "overfitting of the dev set"
    assert isinstance(told, ErrorDiagnosis)
    assert isinstance(told.gaps[0], Gap)


def test_few_examples_cannot_tell():
    """The same errors on more and more dev examples; the joint level widens each interval."""
    verdicts = []
    for size in (100, 1000, 10_000):
        told = diagnose_errors(human=0.01, training=0.08, dev=(size // 10, size))
        verdicts.append((told.gaps[1].verdict, told.largest))
    assert verdicts == [("cannot tell", "cannot tell"), ("cannot tell", "avoidable bias"), ("yes", "avoidable bias")]
    alone = combination_interval({"dev": 1.0, "training": -1.0}, {"dev": (100, 1000), "training": 0.08})
    joint = diagnose_errors(human=0.01, training=0.08, dev=(100, 1000)).gaps[1]
    assert joint.low < alone[0] < alone[1] < joint.high
    wanted = combination_interval(
        {"dev": 1.0, "training": -1.0}, {"dev": (100, 1000), "training": 0.08}, confidence=1 - 0.05 / 3
    )
    np.testing.assert_allclose([joint.low, joint.high], wanted)
    sure = diagnose_errors(human=0.01, training=0.08, dev=(100, 1000), confidence=0.5).gaps[1]
    assert joint.low < sure.low < sure.high < joint.high
    six = diagnose_errors(human=0.0, training=0.08, train_dev=0.08, dev=(100, 1000)).gaps[2]
    wanted = combination_interval(
        {"dev": 1.0, "train_dev": -1.0}, {"dev": (100, 1000), "train_dev": 0.08}, confidence=1 - 0.05 / 6
    )
    np.testing.assert_allclose([six.low, six.high], wanted)


def test_steps_within_the_tolerance_do_not_count():
    told = diagnose_errors(human=0.01, training=0.02, dev=0.10, tolerance=0.01)
    assert [g.verdict for g in told.gaps] == ["no", "yes"]
    told = diagnose_errors(human=0.02, training=0.02, dev=(5, 10_000))
    assert [g.verdict for g in told.gaps] == ["no", "no"]
    assert told.gaps[1].difference < 0


def test_equal_steps_cannot_be_told_apart():
    for start in (0.0, 0.05, 0.02):
        for step in (0.125, 0.05, 0.01):
            told = diagnose_errors(human=start, training=start + step, dev=start + 2 * step)
            assert told.largest == "cannot tell"
            assert diagnose_errors(human=start, training=start + step, dev=0.9, tolerance=step).gaps[0].verdict == "no"


def test_a_step_that_is_not_there_is_not_the_largest():
    told = diagnose_errors(human=0.1, training=0.05, dev=0.01)
    assert [g.verdict for g in told.gaps] == ["no", "no"]
    assert told.largest == "none"
    told = diagnose_errors(human=0.1, training=0.05, dev=(8, 100))
    assert told.gaps[1].verdict == told.largest == "cannot tell"


def test_verdicts_are_right_as_often_as_promised():
    """Two steps of equal size: the larger one must hardly ever be named; a step of zero hardly ever be found."""
    rng = np.random.default_rng(1)
    named = found = 0
    for _ in range(400):
        told = diagnose_errors(
            human=0.05, training=(int(rng.binomial(500, 0.1)), 500), dev=(int(rng.binomial(500, 0.15)), 500)
        )
        named += told.largest != "cannot tell"
        told = diagnose_errors(human=0.05, training=0.1, dev=(int(rng.binomial(500, 0.1)), 500))
        found += told.gaps[1].verdict == "yes"
    assert named < 0.05 * 400
    assert found < 0.05 * 400


GOOD = {"human": 0.01, "training": 0.08, "dev": 0.1}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: majority_error(1.1, 3), ValueError, "error must be a number in [0, 1], got 1.1"),
        (lambda: majority_error(0.1, 2), ValueError, "annotators must be an odd number, got 2"),
        (lambda: majority_error(0.1, 0), ValueError, "annotators must be an integer in [1, 999], got 0"),
        (lambda: majority_error(0.1, 1001), ValueError, "annotators must be an integer in [1, 999], got 1001"),
        (lambda: measured_error(1.5, 0.1), ValueError, "error must be a number in [0, 1], got 1.5"),
        (lambda: measured_error(0.5, 1.1), ValueError, "flipped must be a number in [0, 1], got 1.1"),
        (lambda: disagreement(-0.1), ValueError, "error must be a number in [0, 1], got -0.1"),
        (lambda: error_from_disagreement(0.6), ValueError, "share must be a number in [0, 0.5], got 0.6"),
        (lambda: combination_interval({"a": 1.0}, {"b": 0.1}), ValueError, "errors must have 'a', got 'b'"),
        (lambda: combination_interval({"a": np.nan}, {"a": 0.1}), ValueError, "coefficients['a'] must be a number in"),
        (lambda: diagnose_errors(**GOOD | {"human": 1.5}), ValueError, "human must be a number in [0, 1], got 1.5"),
        (
            lambda: diagnose_errors(**GOOD | {"dev": (1,)}),
            ValueError,
            "dev must be (wrong, size) or a number, got (1,)",
        ),
        (lambda: diagnose_errors(**GOOD | {"dev": (5, 4)}), ValueError, "wrong must be an integer in [0, 4], got 5"),
        (lambda: diagnose_errors(**GOOD | {"dev": (0.1, 4)}), TypeError, "wrong must be an integer in [0, 4], got 0.1"),
        (lambda: diagnose_errors(**GOOD, tolerance=-0.1), ValueError, "tolerance must be a number in [0, 1], got -0.1"),
        (lambda: diagnose_errors(**GOOD, confidence=1.0), ValueError, "confidence must be a number in (0, 1), got 1.0"),
    ],
)
def test_bad_input_is_refused(refuses, call, error, message):
    refuses(call, (), error, message)
