"""Mirrors dlref/strategy/goals_and_metrics/choice.py."""

import numpy as np
import pytest

from dlref.strategy import Choice, choose

MODELS = {
    "a": {"f1": 0.90, "ms": 80, "bytes": 4},
    "b": {"f1": 0.92, "ms": 95, "bytes": 9},
    "c": {"f1": 0.95, "ms": 1500, "bytes": 9},
    "d": {"f1": 0.92, "ms": 100.0, "bytes": 2},
}


def test_best_of_those_that_are_good_enough():
    assert choose(MODELS, optimise="f1") == Choice("c", (), {})
    assert choose(MODELS, optimise="f1", satisfy={"ms": "<= 100"}) == Choice(
        "b", ("d",), {"c": ("ms <= 100, got 1500",)}
    )
    found = choose(MODELS, optimise="f1", satisfy={"ms": "< 100", "bytes": "<5"})
    assert found.best == "a"
    assert found.refused["b"] == ("bytes < 5, got 9",)
    assert found.refused["c"] == ("ms < 100, got 1500", "bytes < 5, got 9")
    assert found.refused["d"] == ("ms < 100, got 100",)
    assert choose(MODELS, optimise="ms", maximise=False).best == "a"
    assert choose(MODELS, optimise="ms", maximise=False, satisfy={"f1": ">= 0.92"}).best == "b"
    assert choose(MODELS, optimise="ms", maximise=False, satisfy={"f1": "> 0.92"}).best == "c"


def test_a_sum_depends_on_the_unit():
    """What a joint number decides is decided by who chose seconds or milliseconds."""
    seconds = {"first": 0.90 - 0.5 * 0.080, "second": 0.92 - 0.5 * 0.095}
    milliseconds = {"first": 0.90 - 0.5 * 80, "second": 0.92 - 0.5 * 95}
    assert max(seconds, key=lambda name: seconds[name]) == "second"
    assert max(milliseconds, key=lambda name: milliseconds[name]) == "first"


@pytest.mark.parametrize(
    ("models", "settings", "error", "message"),
    [
        ({}, {}, ValueError, "models must name at least one model, got none"),
        (MODELS, {"optimise": "auc"}, ValueError, "models['a'] must have the metric 'auc', got ['bytes', 'f1', 'ms']"),
        (MODELS, {"satisfy": {"auc": "> 1"}}, ValueError, "models['a'] must have the metric 'auc'"),
        (MODELS, {"satisfy": {"ms": "100"}}, ValueError, "satisfy['ms'] must be a sign and a number such as '<= 100'"),
        (MODELS, {"satisfy": {"ms": "< x"}}, ValueError, "satisfy['ms'] must be a sign and a number such as '<= 100'"),
        (MODELS, {"satisfy": {"ms": 100}}, TypeError, "satisfy['ms'] must be a string that is not empty, got 100"),
        ({"a": {"f1": np.nan}}, {}, ValueError, "models['a']['f1'] must be a number in (-inf, inf), got nan"),
        ({"a": {"f1": "0.9"}}, {}, TypeError, "models['a']['f1'] must be a number in (-inf, inf), got '0.9' (str)"),
        (
            {"a": {"f1": 0.5}, "b": {"f1": 0.6}},
            {"satisfy": {"f1": "> 0.7"}},
            ValueError,
            "models must hold one that satisfies all conditions, got a: f1 > 0.7, got 0.5; b: f1 > 0.7, got 0.6",
        ),
    ],
)
def test_bad_input_is_refused(refuses, models, settings, error, message):
    refuses(lambda: choose(models, **{"optimise": "f1"} | settings), (), error, message)
