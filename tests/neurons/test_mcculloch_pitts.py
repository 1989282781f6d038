"""Mirrors dlref/neurons/mcculloch_pitts.py."""

import sys
from itertools import permutations, product
from math import comb

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.linear_model import Perceptron

from dlref.neurons import boolean_inputs, mp_neuron, separating_hyperplane, threshold_functions

XOR, XNOR = (0, 1, 1, 0), (1, 0, 0, 1)


def unit(x, theta, inhibitory):
    """The definition, one input vector at a time."""
    if any(x[i] for i in inhibitory):
        return 0
    return int(sum(v for i, v in enumerate(x) if i not in inhibitory) >= theta)


@pytest.mark.verifies("eq-mp")
@pytest.mark.parametrize("inhibitory", [(), (1,), (0, 2), (2, 2), (0, 1, 2)])
@pytest.mark.parametrize("theta", range(5))
def test_unit_is_the_definition(theta, inhibitory):
    x = boolean_inputs(3)
    expected = [unit(row, theta, inhibitory) for row in x.tolist()]
    assert mp_neuron(x, theta, inhibitory=inhibitory).tolist() == expected
    assert mp_neuron(x.astype(bool), theta, inhibitory=inhibitory).tolist() == expected
    assert mp_neuron(x.astype(float), theta, inhibitory=set(inhibitory)).tolist() == expected
    cube = mp_neuron(x.reshape(2, 4, 3), theta, inhibitory=inhibitory)
    assert cube.shape == (2, 4)
    assert cube.dtype.kind == "i"
    assert cube.ravel().tolist() == expected


def test_gates_of_the_book():
    x = boolean_inputs(2)
    assert mp_neuron(x, 2).tolist() == [0, 0, 0, 1]
    assert mp_neuron(x, 1).tolist() == [0, 1, 1, 1]
    assert mp_neuron(x, 0, inhibitory=[0, 1]).tolist() == [1, 0, 0, 0]
    assert mp_neuron(x, 0).tolist() == [1, 1, 1, 1]
    assert mp_neuron(np.array([0, 1])[:, None], 0, inhibitory=[0]).tolist() == [1, 0]


@pytest.mark.verifies("eq-heat-illusion")
def test_short_touch_of_cold_feels_hot_and_a_long_one_cold():
    def felt(cold):
        a, b, out = 0, 0, []
        for c in cold:
            hot = int(mp_neuron(np.array([0, b]), 1))
            out.append((hot, int(mp_neuron(np.array([c, a]), 2))))
            a, b = c, int(mp_neuron(np.array([a, c]), 1, inhibitory=[1]))
        return out

    def formula(cold):
        c = [0, 0, 0, *cold]
        return [(int(c[t - 2] and not c[t - 1]), int(c[t] and c[t - 1])) for t in range(3, len(c))]

    for cold in product((0, 1), repeat=6):
        assert felt(cold) == formula(cold)
    assert felt([1, 0, 0, 0]) == [(0, 0), (0, 0), (1, 0), (0, 0)]


@pytest.mark.verifies("eq-mp-line")
@pytest.mark.parametrize("theta", [0, 1, 2])
def test_unit_fires_on_and_above_its_line(theta):
    x = boolean_inputs(2)
    assert (mp_neuron(x, theta) == (x[:, 0] + x[:, 1] >= theta)).all()


@pytest.mark.parametrize("n", [1, 3, 11])
def test_boolean_inputs_count_upwards(n):
    x = boolean_inputs(n)
    assert [int("".join(map(str, row)), 2) for row in x] == list(range(2**n))
    assert boolean_inputs(n).shape == (2**n, n)


@pytest.mark.verifies("eq-threshold-function", "eq-separable")
def test_hyperplane_separates_with_a_margin_of_one_and_small_weights(close):
    rng = np.random.default_rng(0)
    for n, m in ((1, 4), (3, 12), (6, 20)):
        X, w = rng.normal(size=(m, n)), rng.normal(size=n)
        y = (X @ w + 0.2 > 0).astype(int)
        y[0], y[1] = X[0] @ w + 0.2 > 0, X[1] @ w + 0.2 > 0
        w, b = separating_hyperplane(X, y)
        margins = (2 * y - 1) * (X @ w + b)
        assert margins.min() == pytest.approx(1, abs=1e-9)
        assert (((X @ w) >= -b) == y).all()
        assert isinstance(b, float)
        # the least norm, by an independent formulation: bounds |w_j| <= t_j
        s = (2 * y - 1)[:, None]
        sides = np.column_stack([-s * X, -s, np.zeros((m, n))])
        bounds = np.block([[np.eye(n), np.zeros((n, 1)), -np.eye(n)], [-np.eye(n), np.zeros((n, 1)), -np.eye(n)]])
        limit = np.concatenate([-np.ones(m), np.zeros(2 * n)])
        least = linprog([0] * (n + 1) + [1] * n, A_ub=np.vstack([sides, bounds]), b_ub=limit, bounds=(None, None))
        close(np.abs(w).sum(), least.fun, rtol=1e-7, atol=1e-9)


def test_hyperplane_of_one_class_and_of_integers():
    X = np.array([[5, 2], [-1, 3]])
    w, b = separating_hyperplane(X, np.array([1, 1]))
    assert (w.tolist(), b >= 1) == ([0, 0], True)
    w, b = separating_hyperplane(X, np.array([0, 0]))
    assert (w.tolist(), b <= -1) == ([0, 0], True)
    w, b = separating_hyperplane(X.astype(bool), np.array([True, False])) or (None, None)
    assert w is None, "both rows are (true, true)"


@pytest.mark.verifies("eq-farkas")
@pytest.mark.parametrize("n", [2, 3])
def test_either_a_hyperplane_or_a_certificate(n):
    """Exact in integers for the cube: hulls of a separable function's classes never share a point."""
    X = boolean_inputs(n)
    for table in boolean_inputs(2**n)[:: 1 if n == 2 else 5]:
        s = 2 * table - 1
        mix = linprog(np.zeros(2**n), A_eq=np.vstack([s * X.T, s, np.ones(2**n)]), b_eq=[0] * (n + 1) + [2])
        found = separating_hyperplane(X, table)
        assert (mix.status == 0) == (found is None)
        if found is None:
            assert mix.x.min() >= 0
            np.testing.assert_allclose((mix.x * s) @ X, 0, atol=1e-9)
            np.testing.assert_allclose([mix.x[s > 0].sum(), mix.x[s < 0].sum()], 1, atol=1e-9)


@pytest.mark.parametrize(("n", "count"), [(1, 4), (2, 14), (3, 104), (4, 1882)])
def test_number_of_threshold_functions(n, count):
    tables = threshold_functions(n)
    assert tables.shape == (count, 2**n)
    assert tables.dtype.kind == "i"
    assert len({tuple(t) for t in tables.tolist()}) == count
    assert set(tables.ravel().tolist()) == {0, 1}


def test_threshold_functions_are_those_of_small_integer_weights():
    """Without linear programming: all weights up to 3 reach every threshold function of up to four inputs."""
    for n, bound in ((2, 1), (3, 2), (4, 3)):
        X, found = boolean_inputs(n), set()
        for w in product(range(-bound, bound + 1), repeat=n):
            sums = X @ np.array(w)
            for theta in range(sums.min(), sums.max() + 2):
                found.add(tuple((sums >= theta).astype(int).tolist()))
        assert found == {tuple(t) for t in threshold_functions(n).tolist()}


def test_xor_and_xnor_are_the_two_of_two_inputs():
    tables = {tuple(t) for t in threshold_functions(2).tolist()}
    assert set(product((0, 1), repeat=4)) - tables == {XOR, XNOR}


def test_threshold_functions_do_not_depend_on_the_names_of_the_inputs():
    X = boolean_inputs(3)
    tables = {tuple(t) for t in threshold_functions(3).tolist()}
    for order in permutations(range(3)):
        rows = [X.tolist().index(row) for row in X[:, order].tolist()]
        assert {tuple(t[r] for r in rows) for t in tables} == tables


def test_separable_is_what_a_trained_perceptron_says():
    X = boolean_inputs(3)
    rng = np.random.default_rng(0)
    for table in rng.integers(0, 2, (20, 8)):
        if 0 < table.sum() < 8:
            learned = Perceptron(tol=None, max_iter=200, shuffle=False).fit(X, table).score(X, table) == 1
            assert learned == (separating_hyperplane(X, table) is not None)


@pytest.mark.verifies("eq-cover")
@pytest.mark.parametrize(("m", "n"), [(1, 2), (4, 1), (5, 2), (6, 3)])
def test_covers_count_by_trying_all_labellings(m, n):
    X = np.random.default_rng(m).normal(size=(m, n))
    drawn = sum(separating_hyperplane(X, y) is not None for y in boolean_inputs(m))
    assert drawn == 2 * sum(comb(m - 1, k) for k in range(n + 1))


X2, Y2 = np.eye(2), np.array([0, 1])
REFUSED = {
    "x list": (
        mp_neuron,
        ([0, 1], 1),
        TypeError,
        "x must be a NumPy array of shape (..., n) of zeros and ones, got [0, 1]",
    ),
    "x number": (mp_neuron, (np.array(1), 1), TypeError, "x must be a NumPy array of shape (..., n)"),
    "x empty": (mp_neuron, (np.zeros((2, 0)), 1), TypeError, "x must be a NumPy array of shape (..., n)"),
    "x text": (mp_neuron, (np.array(["1"]), 1), TypeError, "x must be a NumPy array of shape (..., n)"),
    "x two": (mp_neuron, (np.array([0, 2]), 1), ValueError, "x must hold only 0 and 1, got 2 among them"),
    "theta float": (mp_neuron, (X2, 0.5), TypeError, "theta must be an integer >= 0, got 0.5 (float)"),
    "theta": (mp_neuron, (X2, -1), ValueError, "theta must be an integer >= 0, got -1"),
    "n": (boolean_inputs, (0,), ValueError, "n must be an integer in [1, 20], got 0"),
    "n large": (boolean_inputs, (21,), ValueError, "n must be an integer in [1, 20], got 21"),
    "functions": (threshold_functions, (5,), ValueError, "n must be an integer in [1, 4], got 5"),
    "functions 0": (threshold_functions, (0,), ValueError, "n must be an integer in [1, 4], got 0"),
    "X list": (separating_hyperplane, ([[1.0]], Y2), TypeError, "X must be a NumPy array of shape (m n), got"),
    "X nan": (separating_hyperplane, (X2 * np.nan, Y2), ValueError, "X must be finite"),
    "X text": (separating_hyperplane, (np.array([["a"]]), Y2), TypeError, "X must hold floating-point numbers"),
    "X axis": (separating_hyperplane, (np.ones(2), Y2), ValueError, "X must have shape (m, n)"),
    "y": (separating_hyperplane, (X2, np.array([1])), ValueError, "y must have shape (2,)"),
    "label": (separating_hyperplane, (X2, np.array([1, 2])), ValueError, "y must hold only 0 and 1, got 2 among them"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


@pytest.mark.usefixtures("unchecked")
def test_position_of_an_inhibitory_input_is_in_range():
    for i, said in ((2, "got 2"), (-1, "got -1")):
        with pytest.raises(ValueError, match=rf"^inhibitory must be an integer in \[0, 1\], {said}$"):
            mp_neuron(X2, 1, inhibitory=[i])


def test_unsolved_program_is_an_error(monkeypatch):
    class Unsolved:
        status, message, x = 1, "too many steps", None

    monkeypatch.setattr("scipy.optimize.linprog", lambda *_, **__: Unsolved)
    with pytest.raises(RuntimeError, match=r"^the linear program was not solved: too many steps$"):
        separating_hyperplane(X2, Y2)


@pytest.mark.parametrize("call", [lambda: separating_hyperplane(X2, Y2), lambda: threshold_functions(2)])
def test_missing_scipy_says_what_to_install(monkeypatch, call):
    for name in ("scipy.optimize", "scipy.sparse"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"^this needs the package scipy: pip install 'dlref\[data\]'$"):
        call()
