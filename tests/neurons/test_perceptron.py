"""Mirrors dlref/neurons/perceptron.py."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import Perceptron as Oracle

from dlref.neurons import (
    BooleanNetwork,
    Perceptron,
    boolean_inputs,
    mistake_bound,
    mistakes,
    separating_hyperplane,
    threshold_functions,
    with_bias,
)

X2 = boolean_inputs(2)
OR, XOR = np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0])


def irises():
    data = load_iris()
    kept = data.target < 2
    return data.data[kept][:, 1:], data.target[kept]


@pytest.mark.verifies("eq-bias-trick", "eq-perceptron")
def test_threshold_is_the_weight_of_a_constant(close):
    rng = np.random.default_rng(0)
    X, w, theta = rng.normal(size=(7, 3)), rng.normal(size=3), 0.4
    close(with_bias(X) @ np.append(-theta, w), X @ w - theta)
    assert with_bias(X2).tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]
    assert with_bias(X2 == 1).dtype == float
    fires = (X @ w >= theta).astype(int)
    assert mistakes(X, fires, np.append(-theta, w)) == 0
    assert mistakes(X, 1 - fires, np.append(-theta, w)) == 7


@pytest.mark.verifies("eq-error", "eq-or-system", "eq-xor-system")
def test_errors_are_the_inequalities_that_do_not_hold():
    side = np.linspace(-2, 2, 9)
    grid = np.array(list(product(side, repeat=3)))
    for table, last in ((OR, True), (XOR, False)):
        expected = []
        for w0, w1, w2 in grid:
            fourth = w0 + w1 + w2 >= 0 if last else w0 + w1 + w2 < 0
            expected.append(4 - sum((w0 < 0, w0 + w2 >= 0, w0 + w1 >= 0, fourth)))
        assert mistakes(X2, table, grid).tolist() == expected
        assert (min(expected) == 0) == last
    shaped = mistakes(X2, OR, grid.reshape(9, 81, 3))
    assert shaped.shape == (9, 81)
    assert mistakes(X2, OR, grid[5]).shape == ()


def by_definition(X, y, epochs):
    """Weights after each correction, with lists."""
    w, path, errors = [0.0] * (X.shape[1] + 1), [], []
    for _ in range(epochs):
        wrong = 0
        for x, label in zip(X.tolist(), y.tolist(), strict=True):
            x = [1.0, *x]
            fires = sum(a * b for a, b in zip(w, x, strict=True)) >= 0
            if fires != (label == 1):
                w = [a + (2 * label - 1) * b for a, b in zip(w, x, strict=True)]
                path.append(w)
                wrong += 1
        errors.append(wrong)
        if not wrong:
            break
    return path, errors


@pytest.mark.verifies("eq-perceptron-rule")
@pytest.mark.parametrize("problem", ["irises", "xor", "noise"])
def test_training_is_the_rule_step_by_step(problem, close):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(15, 4)), rng.integers(0, 2, 15)
    X, y = {"irises": irises(), "xor": (X2, XOR), "noise": noise}[problem]
    path, errors = by_definition(X, y, 40)
    model = Perceptron(max_epochs=40)
    assert model.fit(X, y) is model
    close(model.path, np.array([[0.0] * (X.shape[1] + 1), *path]))
    assert model.errors == errors
    close(np.append(model.bias, model.weight), model.path[-1])
    assert model.converged == (errors[-1] == 0)
    assert (model.predict(X) == (with_bias(X) @ model.path[-1] >= 0)).all()
    assert model.predict(X).dtype.kind == "i"


def test_weights_are_those_of_scikit_learn_without_shuffling(close):
    """Only where no score is exactly zero, where scikit-learn corrects either class."""
    X, y = irises()
    X = X - 3.05123
    ours = Perceptron(max_epochs=3).fit(X, y)
    theirs = Oracle(shuffle=False, max_iter=3, tol=None).fit(X, y)
    start = 2 * y[0] - 1  # a score of zero: ours fires, scikit-learn corrects
    assert start == -1
    close(ours.weight, theirs.coef_[0])
    close(ours.bias, theirs.intercept_[0])


def test_seed_orders_each_pass_anew():
    X, y = irises()
    X = X - X.mean(0)
    runs = [Perceptron(seed=s, max_epochs=50).fit(X, y) for s in (0, 0, 1)]
    assert np.array_equal(runs[0].path, runs[1].path)
    assert not np.array_equal(runs[0].path[1], runs[2].path[1])
    # the first mistake at zero weights is the first negative example of numpy's permutation
    order = np.random.default_rng(1).permutation(len(X))
    first = next(i for i in order if y[i] == 0)
    assert np.array_equal(runs[2].path[1], -with_bias(X)[first])


def test_second_pass_has_another_order():
    rng = np.random.default_rng(3)
    orders = [rng.permutation(4).tolist() for _ in range(2)]
    model = Perceptron(seed=3, max_epochs=2).fit(X2, XOR)
    w, path = np.zeros(3), [np.zeros(3)]
    for order in orders:
        for i in order:
            if (w @ with_bias(X2)[i] >= 0) != (XOR[i] == 1):
                w = w + (2 * XOR[i] - 1) * with_bias(X2)[i]
                path.append(w)
    assert np.array_equal(model.path, np.array(path))


def test_fit_starts_anew():
    model = Perceptron().fit(X2, OR)
    before = model.errors
    model.fit(X2, OR)
    assert model.errors == before
    assert model.path[0].tolist() == [0, 0, 0]


def test_defaults():
    model = Perceptron()
    assert (model.max_epochs, model.seed, model.weight, model.bias, model.errors) == (1000, None, None, 0.0, [])
    assert model.converged is False
    assert model.path.shape == (1, 0)


@pytest.mark.verifies("eq-angle")
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(0.01, 100))
def test_adding_an_example_shrinks_the_angle_to_it(seed, a, b):
    w, x = np.random.default_rng(seed).normal(size=(2, 4)) * [[a], [b]]

    def cosine(u, v):
        return u @ v / np.linalg.norm(u) / np.linalg.norm(v)

    along, length = w @ x / np.linalg.norm(x), np.linalg.norm(x)
    across = np.linalg.norm(w - along * x / length)
    assert cosine(w + x, x) == pytest.approx((along + length) / np.hypot(along + length, across), abs=1e-9)
    assert cosine(w, x) == pytest.approx(along / np.hypot(along, across), abs=1e-9)
    assert cosine(w + x, x) >= cosine(w, x) - 1e-12
    assert cosine(w - x, x) <= cosine(w, x) + 1e-12


@pytest.mark.verifies("eq-novikoff", "eq-novikoff-chain")
def test_corrections_stay_within_the_bound_and_the_proofs_two_lines_hold():
    X = boolean_inputs(3).astype(float)
    for table in threshold_functions(3):
        w, b = separating_hyperplane(X, table)
        best = np.append(b, w)
        R, gamma, bound = mistake_bound(X, table, best)
        assert pytest.approx((R / gamma) ** 2) == bound
        run = Perceptron(seed=0).fit(X, table)
        assert run.converged
        k = np.arange(len(run.path))
        assert k[-1] <= bound
        projection, length = run.path @ best / np.linalg.norm(best), np.linalg.norm(run.path, axis=1)
        assert (k * gamma <= projection + 1e-9).all()
        assert (projection <= length + 1e-9).all()
        assert (length <= np.sqrt(k) * R + 1e-9).all()


def test_bound_by_hand():
    X, y = np.array([[3.0, 0.0], [0.0, -4.0]]), np.array([1, 0])
    R, gamma, bound = mistake_bound(X, y, np.array([0.0, 2.0, 2.0]))
    assert pytest.approx(17) == R**2
    assert gamma == pytest.approx(3 / 2**0.5)
    assert bound == pytest.approx(17 * 2 / 9)
    assert mistake_bound(X, y, np.array([0.0, 5.0, 5.0])) == pytest.approx((R, gamma, bound)), "only the direction"


def test_on_xor_the_weights_go_in_circles():
    run = Perceptron(max_epochs=50).fit(X2, XOR)
    assert not run.converged
    assert len(run.errors) == 50
    assert len({tuple(w) for w in run.path}) < 15 < len(run.path)


@pytest.mark.verifies("eq-pattern-unit", "eq-boolean-network")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_network_computes_every_function(n):
    X = boolean_inputs(n)
    for table in boolean_inputs(2**n):
        network = BooleanNetwork(table)
        assert network(X).tolist() == table.tolist()
        assert (network.hidden(X) == np.eye(2**n)).all()
        assert network(X.astype(float)[::-1]).tolist() == table[::-1].tolist()
    assert network.hidden_weight.shape == (2**n, n)
    assert network.hidden(X).dtype.kind == network(X).dtype.kind == "i"


def test_network_of_five_inputs_is_parity_when_told_so():
    X = boolean_inputs(5)
    assert (BooleanNetwork(X.sum(1) % 2)(X) == X.sum(1) % 2).all()


def test_hidden_units_are_the_formula():
    network = BooleanNetwork(XOR)
    for r, p in enumerate(X2):
        for x in X2:
            fires = sum((2 * pj - 1) * xj for pj, xj in zip(p, x, strict=True)) >= p.sum()
            assert network.hidden(x[None])[0, r] == fires


F2, L2, W3 = np.eye(2), np.array([0, 1]), np.ones(3)
TABLE = "table must be an array of 2**n zeros and ones, n >= 1, got "
REFUSED = {
    "bias list": (with_bias, ([[1.0]],), TypeError, "X must be a NumPy array of shape (m n), got [[1.0]] (list)"),
    "bias axis": (with_bias, (W3,), ValueError, "X must have shape (m, n), got float64 array of shape (3,)"),
    "bias nan": (with_bias, (F2 / 0.5 - np.inf,), ValueError, "X must be finite, got"),
    "bias text": (with_bias, (np.array([["a"]]),), TypeError, "X must hold floating-point numbers"),
    "mistakes X": (mistakes, (W3, L2, W3), ValueError, "X must have shape (m, n)"),
    "mistakes y": (mistakes, (F2, W3, W3), ValueError, "y must have shape (2,)"),
    "mistakes label": (mistakes, (F2, 2 * L2, W3), ValueError, "y must hold only 0 and 1, got 2 among them"),
    "mistakes w": (mistakes, (F2, L2, np.ones(2)), ValueError, "w must have shape (..., n+1=3), got float64 array"),
    "max_epochs": (lambda n: Perceptron(max_epochs=n), (0,), ValueError, "max_epochs must be an integer >= 1, got 0"),
    "seed": (lambda n: Perceptron(seed=n), (-1,), ValueError, "seed must be an integer >= 0, got -1"),
    "fit X": (Perceptron().fit, (W3, L2), ValueError, "X must have shape (m, n)"),
    "fit y": (Perceptron().fit, (F2, W3), ValueError, "y must have shape (2,)"),
    "untrained": (Perceptron().predict, (F2,), RuntimeError, "predict needs a trained model: call fit first"),
    "predict": (Perceptron().fit(F2, L2).predict, (np.eye(3),), ValueError, "X must have shape (m, n=2), got float64"),
    "bound X": (mistake_bound, (W3, L2, W3), ValueError, "X must have shape (m, n)"),
    "bound y": (mistake_bound, (F2, W3, W3), ValueError, "y must have shape (2,)"),
    "bound w": (mistake_bound, (F2, L2, np.eye(3)), ValueError, "w must have shape (n+1=3), got float64 array"),
    "no margin": (
        mistake_bound,
        (F2, L2, np.array([0.0, 1.0, 0.0])),
        ValueError,
        "w must separate the classes with a margin above 0, got -1",
    ),
    "touching": (
        mistake_bound,
        (F2, 1 - L2, np.array([0.0, 1.0, 0.0])),
        ValueError,
        "w must separate the classes with a margin above 0, got -0",
    ),
    "no length": (mistake_bound, (F2, L2, np.zeros(3)), ValueError, "w must separate the classes with a margin above"),
    "table list": (BooleanNetwork, ([0, 1],), ValueError, TABLE + "[0, 1] (list)"),
    "table of one": (BooleanNetwork, (np.array([1]),), ValueError, TABLE + "int64 array of shape (1,)"),
    "table of six": (BooleanNetwork, (np.zeros(6),), ValueError, TABLE + "float64 array of shape (6,)"),
    "table square": (BooleanNetwork, (np.eye(2),), ValueError, TABLE + "float64 array of shape (2, 2)"),
    "table value": (BooleanNetwork, (np.array([0, 3]),), ValueError, "table must hold only 0 and 1, got 3"),
    "hidden": (BooleanNetwork(XOR).hidden, (np.eye(3),), ValueError, "X must have shape (m, n=2), got float64"),
    "call": (BooleanNetwork(XOR), (W3,), ValueError, "X must have shape (m, n=2), got float64 array of shape (3,)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
