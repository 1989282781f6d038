"""Mirrors dlref/strategy/goals_and_metrics/curves.py."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from dlref.strategy import Threshold, precision_recall_curve, roc_curve, threshold_for_cost


def quietly(function, *arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **settings)


@given(st.data(), st.booleans())
def test_curves_are_scikit_learns(scored, data, drop):
    true, score, weight = data.draw(scored)
    settings = {"sample_weight": weight, "pos_label": data.draw(st.sampled_from([None, 0, 1]))}
    for ours, theirs, more in (
        (roc_curve, metrics.roc_curve, {"drop_intermediate": drop}),
        (precision_recall_curve, metrics.precision_recall_curve, {}),
    ):
        found = quietly(ours, true, score, **settings, **more)
        for one, other in zip(found, quietly(theirs, true, score, **settings, **more), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@given(st.data(), st.floats(0, 20), st.floats(0, 20))
@pytest.mark.verifies("eq-mistake-cost")
def test_threshold_is_the_best_of_all(scored, data, false_positive, false_negative):
    true, score, weight = data.draw(scored)
    costs = {"false_positive": false_positive, "false_negative": false_negative}
    found = threshold_for_cost(true, score, sample_weight=weight, **costs)
    w = np.ones(len(true)) if weight is None else weight
    prices = {}
    for threshold in [np.inf, *score[w > 0]]:
        called = score >= threshold
        wrong = w @ (called & (true == 0)), w @ (~called & (true == 1))
        prices[threshold] = (false_positive * wrong[0] + false_negative * wrong[1]) / w.sum(), *wrong
    best = min(price for price, *_ in prices.values())
    np.testing.assert_allclose(found.cost, best, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found[1:], prices[found.threshold], rtol=1e-12, atol=1e-12)


@given(st.floats(0.01, 1), st.floats(0.01, 20), st.floats(0.01, 20))
@pytest.mark.verifies("eq-bayes-threshold")
def test_believed_probabilities_need_no_search(p, false_positive, false_negative):
    threshold = false_positive / (false_positive + false_negative)
    yes, no = (1 - p) * false_positive, p * false_negative
    assert (p >= threshold) == (yes <= no) or abs(yes - no) < 1e-12


def test_ties_in_cost_go_to_the_larger_threshold():
    assert threshold_for_cost([0, 1], [0.2, 0.2]) == Threshold(np.inf, 0.5, 0.0, 1.0)
    assert threshold_for_cost([1, 0, 1], [0.9, 0.5, 0.1]) == Threshold(0.9, 1 / 3, 0.0, 1.0)


def test_costs_default_to_one_each():
    found = threshold_for_cost([0, 0, 1], [0.3, 0.6, 0.5])
    assert found == threshold_for_cost([0, 0, 1], [0.3, 0.6, 0.5], false_positive=1.0, false_negative=1.0)
    assert found == Threshold(np.inf, 1 / 3, 0.0, 1.0)
    assert threshold_for_cost([1, 0], [0.2, 0.8]).cost == 0.5
    assert threshold_for_cost([1, 1, 0, 0], [0.5, 0.5, 0.9, 0.1]).cost == 0.25


def test_settings_stand_at_their_defaults():
    true, score = [1, 1, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5]
    assert len(roc_curve(true, score)[0]) == len(roc_curve(true, score, drop_intermediate=True)[0]) == 4
    assert len(roc_curve(true, score, drop_intermediate=False)[0]) == 6


def test_the_positive_class_is_the_one_that_is_named(refuses):
    assert threshold_for_cost(["n", "y"], [0.1, 0.9], pos_label="y") == Threshold(0.9, 0.0, 0.0, 0.0)
    assert threshold_for_cost([0, 1], [0.9, 0.1], pos_label=0) == Threshold(0.9, 0.0, 0.0, 0.0)
    message = "pos_label must be given unless the classes are 0 and 1 or -1 and 1, got classes ['0', '1']"
    refuses(roc_curve, (["0", "1"], [0.1, 0.9]), ValueError, message)
    refuses(roc_curve, ([], []), ValueError, "y_true must hold a class for each example")


def test_scores_may_have_columns_where_it_is_allowed(refuses):
    from dlref.strategy.goals_and_metrics.curves import scores_of

    assert scores_of("y_score", [[1, 2]], 1, columns=True).tolist() == [[1.0, 2.0]]
    assert scores_of("y_score", [1], 1, columns=True).tolist() == [1.0]
    assert scores_of("y_score", [1], 1).dtype == np.float64
    message = "y_score must hold a number for each of 1 examples, got float64 array of shape (1, 1, 1)"
    refuses(lambda: scores_of("y_score", np.ones((1, 1, 1)), 1, columns=True), (), ValueError, message)


def test_classes_are_recognised(unchecked):
    for classes in ([0, 1], [-1, 1], [False, True], [0.0, 1.0]):
        assert roc_curve(classes, [0.1, 0.9])[1].tolist() == [0.0, 1.0, 1.0]
    assert roc_curve(["n", "y"], [0.1, 0.9], pos_label="y")[1].tolist() == [0.0, 1.0, 1.0]
    assert roc_curve(torch.tensor([0, 1]), torch.tensor([0.1, 0.9]))[2].tolist()[0] == np.inf
    assert roc_curve([0, 1], [1, 2])[2].dtype == float


def test_what_is_undefined_is_said():
    with pytest.warns(UserWarning, match="^no example is negative; the false positive rate is NaN"):
        assert np.isnan(roc_curve([1, 1], [0.1, 0.9])[0]).all()
    with pytest.warns(UserWarning, match="^no example is positive; the true positive rate is NaN"):
        assert np.isnan(roc_curve([0, 0], [0.1, 0.9])[1]).all()
    with pytest.warns(UserWarning, match="^no example is positive; recall is set to 1"):
        assert precision_recall_curve([0, 0], [0.1, 0.9])[1].tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([0, 1], [0.1]), {}, "y_score must hold a number for each of 2 examples, got float64 array of shape (1,)"),
        (([0, 1], [[0.1], [0.2]]), {}, "y_score must hold a number for each of 2 examples, got float64 array of"),
        (([0, 1], ["a", "b"]), {}, "y_score must hold a number for each of 2 examples, got <U1 array of shape (2,)"),
        (([0, 1], [0.1, np.nan]), {}, "y_score must be finite, got NaN or infinite values"),
        (([0, 1], [0.1, np.inf]), {}, "y_score must be finite, got NaN or infinite values"),
        (([0, 2], [0.1, 0.2]), {}, "pos_label must be given unless the classes are 0 and 1 or -1 and 1, got classes"),
        ((["a", "b"], [0.1, 0.2]), {}, "pos_label must be given unless the classes are 0 and 1 or -1 and 1, got"),
        (([0, 1], [0.1, 0.2]), {"false_positive": -1.0}, "false_positive must be a number in [0, inf), got -1.0"),
        (([0, 1], [0.1, 0.2]), {"false_negative": np.inf}, "false_negative must be a number in [0, inf), got inf"),
        (([0, 1], [0.1, 0.2]), {"sample_weight": [0, 0]}, "sample_weight must be finite and >= 0, and not zero"),
    ],
)
def test_bad_input_is_refused(refuses, arguments, settings, message):
    refuses(lambda: threshold_for_cost(*arguments, **settings), (), ValueError, message)
