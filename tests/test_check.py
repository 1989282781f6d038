"""Mirrors dlref/_check.py."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlref import _check

pytestmark = pytest.mark.usefixtures("unchecked")


def fails(error, message):
    return pytest.raises(error, match="^" + re.escape(message) + "$")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((2, 3), np.float32), "float32 array of shape (2, 3)"),
        (np.float64(1), "float64 array of shape ()"),
        (torch.zeros(2), "torch.float32 tensor of shape (2,)"),
        ([1], "[1] (list)"),
        ("x" * 58, "'" + "x" * 58 + "' (str)"),
        ("x" * 59, "'" + "x" * 56 + "... (str)"),
    ],
)
def test_describe(value, text):
    assert _check.describe(value) == text


def test_describe_of_something_with_a_shape_alone():
    class Shaped:
        shape = (2,)

        def __repr__(self):
            return "shaped"

    assert _check.describe(Shaped()) == "shaped (Shaped)"


@pytest.mark.parametrize("value", [3, np.int64(3), 7, 5])
def test_integer_returns_int(value):
    got = _check.integer("n", value, 3, 7)
    assert got == value
    assert type(got) is int
    assert _check.integer("n", 10**9, 3) == 10**9


def test_integer_refuses():
    with fails(ValueError, "n must be an integer in [3, 7], got 2"):
        _check.integer("n", 2, 3, 7)
    with fails(ValueError, "n must be an integer in [3, 7], got 8"):
        _check.integer("n", 8, 3, 7)
    with fails(ValueError, "n must be an integer >= 3, got 2"):
        _check.integer("n", 2, 3)
    for value in (3.0, "3", None, True, np.bool_(True)):
        with fails(TypeError, f"n must be an integer >= 0, got {_check.describe(value)}"):
            _check.integer("n", value, 0)


def test_integer_leaves_a_size_that_is_open():
    """What torch.compile puts in place of a size is no int, and must not become one."""

    class SymInt:
        def __lt__(self, other):
            return other > 5

        def __gt__(self, other):
            return other < 5

        def __str__(self):
            return "s0"

    size = SymInt()
    assert _check.integer("n", size, 5, 5) is size
    with fails(ValueError, "n must be an integer >= 6, got s0"):
        _check.integer("n", size, 6)


INTERVALS = {"[0, 1]": (True, True), "[0, 1)": (True, False), "(0, 1]": (False, True), "(0, 1)": (False, False)}


@pytest.mark.parametrize("interval", INTERVALS)
def test_real_at_the_ends(interval):
    for value, inside in zip((0, 1), INTERVALS[interval], strict=True):
        if inside:
            assert _check.real("x", value, interval) == value
        else:
            with fails(ValueError, f"x must be a number in {interval}, got {float(value)}"):
                _check.real("x", value, interval)
    assert type(_check.real("x", np.float32(0.5), interval)) is float
    for value in (-0.1, 1.1, float("nan"), float("inf")):
        with fails(ValueError, f"x must be a number in {interval}, got {value}"):
            _check.real("x", value, interval)


def test_real_refuses_other_kinds_and_infinity():
    for value in ("1", None, 1j, True, np.bool_(True)):
        with fails(TypeError, f"x must be a number in (-inf, inf), got {_check.describe(value)}"):
            _check.real("x", value)
    with fails(ValueError, "x must be a number in (-inf, inf), got inf"):
        _check.real("x", float("inf"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_real_takes_every_finite_number(value):
    assert _check.real("x", value) == value


def test_one_of():
    assert _check.one_of("mode", "min", ("min", "max")) == "min"
    with fails(ValueError, "mode must be one of 'min', 'max', got 'mean' (str)"):
        _check.one_of("mode", "mean", ("min", "max"))


def test_text():
    assert _check.text("name", "a") == "a"
    for value in ("", 3, None):
        with fails(TypeError, f"name must be a string that is not empty, got {_check.describe(value)}"):
            _check.text("name", value)


def test_numbers_array():
    value = np.ones((2, 3))
    assert _check.numbers_array("X", value, "m n", n=3) is value
    single = value.astype(np.float32)
    assert _check.numbers_array("X", single, "m n") is single
    for kind in (bool, np.uint8, np.int32):
        taken = _check.numbers_array("X", value.astype(kind), "m n")
        assert taken.dtype == np.float64
        assert (taken == 1).all()
    with fails(TypeError, "X must be a NumPy array of shape (m n), got [1] (list)"):
        _check.numbers_array("X", [1], "m n")
    with fails(ValueError, "X must have shape (m, n=2), got float64 array of shape (2, 3)"):
        _check.numbers_array("X", value.astype(int), "m n", n=2)
    with fails(ValueError, "X must be finite, got 1 NaN or infinite values"):
        _check.numbers_array("X", np.array([1.0, np.nan]), "m")
    with fails(TypeError, "X must hold floating-point numbers, got <U1 array of shape (1,)"):
        _check.numbers_array("X", np.array(["a"]), "m")


def test_array():
    value = np.ones((2, 3))
    assert _check.array("X", value, "m n", n=3) is value
    assert _check.array("X", value, "... n", n=3) is value
    assert _check.array("X", value[0], "... n", n=3).shape == (3,)
    assert _check.array("X", np.array(1.0), "...").shape == ()
    with fails(TypeError, "X must be a NumPy array of shape (m n), got [1] (list)"):
        _check.array("X", [1], "m n")
    with fails(ValueError, "X must have shape (m, n=4), got float64 array of shape (2, 3)"):
        _check.array("X", value, "m n", n=4)
    with fails(ValueError, "X must have shape (m), got float64 array of shape (2, 3)"):
        _check.array("X", value, "m")
    with fails(ValueError, "X must have shape (..., a, b, c), got float64 array of shape (2, 3)"):
        _check.array("X", value, "... a b c")
    with fails(ValueError, "X must have shape (..., n=2), got float64 array of shape (2, 3)"):
        _check.array("X", value, "... n", n=2)
    with fails(ValueError, "X must not be empty, got float64 array of shape (0, 3)"):
        _check.array("X", value[:0], "m n")
    with fails(TypeError, "X must hold floating-point numbers, got int64 array of shape (2, 3)"):
        _check.array("X", value.astype(int), "m n")
    value[0, 0], value[1, 1] = np.nan, np.inf
    with fails(ValueError, "X must be finite, got 2 NaN or infinite values"):
        _check.array("X", value, "m n")
    assert _check.array("X", value, "m n", finite=False) is value


def test_tensor():
    value = torch.ones(2, 3)
    assert _check.tensor("x", value, "B D", D=3) is value
    with fails(TypeError, "x must be a torch.Tensor of shape (B D), got float64 array of shape (2, 3)"):
        _check.tensor("x", np.ones((2, 3)), "B D")
    with fails(TypeError, "x must hold floating-point numbers, got torch.int64 tensor of shape (2, 3)"):
        _check.tensor("x", value.long(), "B D")
    with fails(ValueError, "x must have shape (B, D=2), got torch.float32 tensor of shape (2, 3)"):
        _check.tensor("x", value, "B D", D=2)
    with fails(ValueError, "x must not be empty, got torch.float32 tensor of shape (0, 3)"):
        _check.tensor("x", value[:0], "B D")
    assert _check.tensor("x", value[:0], "B D", empty=True).shape == (0, 3)


def test_binary_labels():
    for kind in (int, float, bool, np.uint8):
        got = _check.binary_labels("y", np.array([0, 1, 1]).astype(kind), 3)
        assert got.dtype == np.float64
        assert got.tolist() == [0, 1, 1]
    for value in ([0, 1], np.array(["0", "1"])):
        with fails(TypeError, f"y must be a NumPy array of shape (2,) of zeros and ones, got {_check.describe(value)}"):
            _check.binary_labels("y", value, 2)
    with fails(ValueError, "y must have shape (2,), got int64 array of shape (2, 1)"):
        _check.binary_labels("y", np.array([[0], [1]]), 2)
    assert _check.binary_labels("y", np.eye(2), (2, 2)).tolist() == [[1, 0], [0, 1]]
    with fails(ValueError, "y must have shape (2, 3), got float64 array of shape (2, 2)"):
        _check.binary_labels("y", np.eye(2), (2, 3))
    with fails(ValueError, "y must hold only 0 and 1, got -1 among them"):
        _check.binary_labels("y", np.array([1, -1]), 2)
    with fails(ValueError, "y must hold only 0 and 1, got nan among them"):
        _check.binary_labels("y", np.array([1, np.nan]), 2)
