"""Mirrors dlref/neurons/logistic_regression.py, and _estimator.py behind it."""

import re

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as Oracle

from dlref.data import digits
from dlref.neurons import LogisticRegression, Node, binary_cross_entropy, cost, gradients, sigmoid


def problem(m=7, n=3, seed=0):
    rng = np.random.default_rng(seed)
    X, w = rng.normal(size=(m, n)), rng.normal(size=n)
    return X, (rng.random(m) < 0.5).astype(int), w, 0.3


@pytest.mark.verifies("eq-loss", "eq-stable-loss")
def test_loss_is_minus_the_log_of_the_probability_given_to_the_label(close):
    z, y = np.array([-2.0, 0.5, 3.0, -1.0]), np.array([0, 1, 0, 1])
    a = 1 / (1 + np.exp(-z))
    close(binary_cross_entropy(z, y), -y * np.log(a) - (1 - y) * np.log(1 - a))
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(z), torch.from_numpy(y).double(), reduction="none"
    )
    close(binary_cross_entropy(z, y), theirs.numpy())


def test_loss_of_labels_in_rows_is_torchs_and_keeps_the_precision(close):
    rng = np.random.default_rng(0)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-6)):
        z, y = (30 * rng.normal(size=(4, 2, 3))).astype(dtype), rng.integers(0, 2, (4, 2, 3))
        theirs = torch.nn.functional.binary_cross_entropy_with_logits(
            torch.from_numpy(z), torch.from_numpy(y.astype(dtype)), reduction="none"
        )
        close(binary_cross_entropy(z, y), theirs.numpy(), rtol=tolerance, atol=tolerance)


def test_loss_is_finite_where_the_sigmoid_rounds_to_one():
    z, y = np.array([1e4, -1e4, 1e4, -1e4]), np.array([0, 1, 1, 0])
    assert binary_cross_entropy(z, y).tolist() == [1e4, 1e4, 0, 0]


@pytest.mark.verifies("eq-cost")
def test_cost_is_the_mean_of_the_losses_and_the_penalty(close):
    X, y, w, b = problem()
    by_hand = sum(binary_cross_entropy(np.array([x @ w + b]), np.array([t]))[0] for x, t in zip(X, y, strict=True)) / 7
    close(cost(X, y, w, b), by_hand)
    close(cost(X, y, w, b, weight_decay=0.7), by_hand + 0.35 * (w**2).sum())


def test_cost_does_not_depend_on_how_often_the_data_is_repeated(close):
    X, y, w, b = problem()
    close(cost(np.tile(X, (3, 1)), np.tile(y, 3), w, b), cost(X, y, w, b))


@pytest.mark.verifies("eq-gradients", "eq-da", "eq-dz")
@pytest.mark.parametrize("weight_decay", [0.0, 0.7])
def test_gradients_are_autograds_the_loops_and_central_differences(weight_decay, close):
    X, y, w, b = problem()
    dw, db = gradients(X, y, w, b, weight_decay=weight_decay)

    W, B = torch.tensor(w, requires_grad=True), torch.tensor(b, dtype=torch.float64, requires_grad=True)
    A = torch.sigmoid(torch.from_numpy(X) @ W + B)
    A.retain_grad()
    Y = torch.from_numpy(y)
    J = (-Y * A.log() - (1 - Y) * (1 - A).log()).mean() + weight_decay / 2 * W @ W
    J.backward()
    close(dw, W.grad.numpy())
    close(db, B.grad.item())

    a, loop_dw, loop_db = A.detach().numpy(), np.zeros(3), 0.0
    da = -y / a + (1 - y) / (1 - a)
    close(da / 7, A.grad.numpy())
    for i in range(7):
        dz = da[i] * a[i] * (1 - a[i])
        assert dz == pytest.approx(a[i] - y[i], rel=1e-12)
        for j in range(3):
            loop_dw[j] += X[i, j] * dz / 7
        loop_db += dz / 7
    close(dw, loop_dw + weight_decay * w)
    close(db, loop_db)

    h = 1e-5
    for j in range(3):
        e = h * np.eye(3)[j]
        slope = cost(X, y, w + e, b, weight_decay=weight_decay) - cost(X, y, w - e, b, weight_decay=weight_decay)
        assert abs(slope / (2 * h) - dw[j]) < 1e-9


@pytest.mark.verifies("eq-curvature")
def test_cross_entropy_is_convex_where_the_squared_error_is_not():
    z = np.linspace(-6, 6, 25)
    a, ones, h = sigmoid(z), np.ones(25), 1e-4

    def second(f):
        return (f(z + h) - 2 * f(z) + f(z - h)) / h**2

    for y in (ones, 0 * ones):
        np.testing.assert_allclose(second(lambda z: binary_cross_entropy(z, y)), a * (1 - a), atol=1e-6)  # noqa: B023
    curvature = second(lambda z: (sigmoid(z) - 1) ** 2)
    np.testing.assert_allclose(curvature, 2 * a * (1 - a) ** 2 * (3 * a - 1), atol=1e-6)
    assert ((curvature < 0) == (a < 1 / 3)).all()


@pytest.mark.verifies("eq-first-order")
def test_error_of_the_first_order_estimate_falls_with_the_square_of_the_step():
    x = Node(0.5)
    f = x.sigmoid()
    f.backward()
    errors = [abs(sigmoid(np.array([0.5 + d]))[0] - (f.value + x.grad * d)) for d in (1e-2, 1e-3)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.02)


@pytest.mark.verifies("eq-logistic-model", "eq-update")
def test_one_step_by_hand(close):
    X, y = np.array([[1.0], [3.0]]), np.array([0, 1])
    model = LogisticRegression(lr=0.5, max_iter=1, tol=0.0).fit(X, y)
    # at w = b = 0 every probability is 1/2, so dw = (1/2 * 1 - 1/2 * 3) / 2 = -1/2 and db = 0
    close(model.weight, np.array([0.25]))
    assert model.bias == 0
    assert model.costs == [pytest.approx(np.log(2))]
    close(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-0.25 * X[:, 0])))
    two = LogisticRegression(lr=0.5, max_iter=2, tol=0.0).fit(X, y)
    dw, db = gradients(X, y, np.array([0.25]), 0.0)
    close(two.weight, 0.25 - 0.5 * dw)
    close(two.bias, -0.5 * db)


@pytest.fixture(scope="module")
def tumours():
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, [0, 1, 4, 8]]  # radius, texture, smoothness, symmetry: not separable, so a minimum exists
    return (X - X.mean(0)) / X.std(0), y


def test_coefficients_are_scikit_learns_without_penalty(tumours):
    X, y = tumours
    ours = LogisticRegression(max_iter=20_000, tol=1e-8).fit(X, y)
    theirs = Oracle(C=np.inf, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.weight, theirs.coef_[0], atol=1e-3)
    assert ours.bias == pytest.approx(theirs.intercept_[0], abs=1e-3)
    assert len(ours.costs) < 20_000


def test_coefficients_are_scikit_learns_with_the_same_penalty_on_digits():
    split = digits(classes=(3, 8))
    X, y = split.x_train.reshape(800, 784).astype(float), split.y_train
    X -= X.mean(0)
    ours = LogisticRegression(weight_decay=0.1, max_iter=5000, tol=1e-6).fit(X, y)
    theirs = Oracle(C=1 / (800 * 0.1), tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.weight, theirs.coef_[0], atol=1e-3)
    assert ours.bias == pytest.approx(theirs.intercept_[0], abs=1e-3)


def test_default_step_never_raises_the_cost_and_half_of_the_curvature_is_exceeded(tumours):
    X, y = tumours
    costs = LogisticRegression(max_iter=300, tol=0.0).fit(X, y).costs
    assert np.all(np.diff(costs) < 0)
    # the largest eigenvalue of the Hessian at the start, where sigma' is 1/4, is the bound itself
    with_bias = np.column_stack([X, np.ones(len(X))])
    curvature = np.linalg.eigvalsh(with_bias.T @ with_bias / (4 * len(X))).max()
    start = np.zeros(4), 0.0
    dw, db = gradients(X, y, *start)
    one = LogisticRegression(max_iter=1, tol=0.0).fit(X, y)
    np.testing.assert_allclose(one.weight, -dw / curvature)
    assert one.bias == pytest.approx(-db / curvature)
    decayed = LogisticRegression(max_iter=1, weight_decay=2.0, tol=0.0).fit(X, y)
    np.testing.assert_allclose(decayed.weight, -dw / (curvature + 2))


def test_fit_ends_at_the_tolerance_of_the_largest_component():
    X, y, _, _ = problem(40)
    model = LogisticRegression(tol=1e-2, weight_decay=0.1).fit(X, y)
    size = [max(np.abs(g[0]).max(), abs(g[1])) for g in [gradients(X, y, model.weight, model.bias, weight_decay=0.1)]]
    assert 1e-3 < size[0] <= 1e-2
    assert len(LogisticRegression(tol=0.0, max_iter=17).fit(X, y).costs) == 17
    again = model.fit(X, y)
    assert again is model
    assert len(model.costs) == len(LogisticRegression(tol=1e-2, weight_decay=0.1).fit(X, y).costs)


def test_fit_ends_by_the_bias_alone():
    X, y = np.zeros((4, 1)), np.array([0, 1, 1, 1])
    model = LogisticRegression(lr=1.0, tol=1e-3).fit(X, y)
    assert model.bias == pytest.approx(np.log(3), abs=0.01)
    tight = LogisticRegression(lr=1.0, tol=0.25).fit(X, y)
    assert len(tight.costs) == 1, "at the start db is exactly -1/4"


def test_costs_include_the_penalty_and_probabilities_the_bias(close):
    X, y, _, _ = problem(12)
    model = LogisticRegression(weight_decay=0.5, max_iter=3, tol=0.0).fit(X, y + 0)
    shorter = LogisticRegression(weight_decay=0.5, max_iter=2, tol=0.0).fit(X, y)
    close(model.costs[2], cost(X, y, shorter.weight, shorter.bias, weight_decay=0.5))
    assert abs(model.bias) > 1e-3
    close(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-(X @ model.weight + model.bias))))
    close(model.predict_proba(X).sum(1), np.ones(12))
    close(model.decision_function(X), X @ model.weight + model.bias)
    assert model.predict(X).dtype.kind == "i"


def test_predict_puts_one_half_in_class_one():
    model = LogisticRegression(max_iter=1, lr=1.0, tol=0.0)
    model.fit(np.array([[1.0], [-1.0]]), np.array([1, 0]))
    assert model.predict(np.array([[0.0], [-1e-9], [1e-9]])).tolist() == [1, 0, 1]


def test_says_that_it_has_not_converged():
    X, y, _, _ = problem(12)
    with pytest.warns(
        RuntimeWarning, match=r"^LogisticRegression has not converged in max_iter=3 steps: the gradient is"
    ):
        model = LogisticRegression(weight_decay=0.5, max_iter=3).fit(X, y)
    assert not model.converged
    assert LogisticRegression(weight_decay=0.5, tol=0.3).fit(X, y).converged
    assert not LogisticRegression(weight_decay=0.5, max_iter=3, tol=0.0).fit(X, y).converged, "all steps were asked for"
    model = LogisticRegression(weight_decay=0.5).fit(X, y)
    model.set_params(max_iter=2, tol=0.0).fit(X, y)
    assert not model.converged


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(label):
    with pytest.raises(ValueError, match=f"^y must hold both classes, got {label} alone$"):
        LogisticRegression().fit(np.eye(3), np.full(3, label))


@given(arrays(float, 5, elements=st.floats(-745, 745)))
def test_loss_is_accurate_over_the_whole_range(z):
    """To a few units in the last place, also where the score is sure and right."""
    for label in (0, 1):
        found = binary_cross_entropy(z, np.full(5, label))
        with mpmath.workdps(50):
            exact = [mpmath.log1p(mpmath.exp(-value if label else value)) for value in map(mpmath.mpf, z)]
            for ours, theirs in zip(found, exact, strict=True):
                assert abs(ours - theirs) <= 4e-16 * theirs + 5e-324


def test_defaults():
    model = LogisticRegression()
    assert (model.weight_decay, model.lr, model.max_iter, model.tol) == (0.0, None, 10_000, 1e-6)
    assert (model.weight, model.bias, model.costs) == (None, 0.0, [])


@pytest.mark.verifies("eq-chain-rule")
def test_graph_of_the_book(close):
    a, b, c = Node(5.0), Node(3.0), Node(2.0)
    assert a.grad == 0.0
    J = 3.0 * (a + b * c)
    J.backward()
    assert (J.value, J.grad, a.grad, b.grad, c.grad) == (33.0, 1.0, 3.0, 6.0, 9.0)
    J.backward()
    assert a.grad == 3.0, "a second backward pass does not add to the first"


GRAPHS = {
    "shared": lambda x, y: x * y + x * x + y,
    "used thrice": lambda x, y: (x + x) * (x + y) - x,
    "minus": lambda x, y: 1.0 - x - (y - 2.0) * -x,
    "right operands": lambda x, y: 2.0 + 3.0 * x + y * 4.0,
    "sigmoid": lambda x, y: (x * y).sigmoid() * x + (-y).sigmoid(),
    "log": lambda x, y: (x * x + 1.0).log() * y,
    "loss": lambda x, y: -1.0 * (x + y).sigmoid().log() + (1.0 - (x * y).sigmoid()).log(),
    "diamond": lambda x, y: (lambda u: (u * u) * (u + 1.0))(x * y),
}


@pytest.mark.verifies("eq-chain-rule")
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("values", [(0.7, -1.3), (-2.0, 0.4), (0.0, 3.0)])
def test_graph_agrees_with_autograd(name, values, close):
    ours = [Node(v) for v in values]
    theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    J, T = GRAPHS[name](*ours), GRAPHS[name](*theirs)
    J.backward()
    T.backward()
    close(J.value, T.item())
    close([node.grad for node in ours], [t.grad.item() for t in theirs])


def test_graph_of_a_long_chain_needs_no_deep_stack():
    x = Node(1.0)
    y = x
    for _ in range(20_000):
        y = y + x
    y.backward()
    assert x.grad == 20_001


@pytest.mark.usefixtures("unchecked")
def test_graph_refuses():
    with pytest.raises(TypeError, match=r"^value must be a number in \(-inf, inf\), got '1' \(str\)"):
        Node("1")
    with pytest.raises(TypeError, match=r"^value must be a number in \(-inf, inf\), got None"):
        Node(1.0) + None
    with pytest.raises(ValueError, match=r"^value must be a number in \(-inf, inf\), got nan"):
        Node(float("nan"))
    for value in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"^value must be positive for its logarithm, got {value}$"):
            Node(value).log()


X2, Y2, W2 = np.ones((2, 3)), np.array([0, 1]), np.ones(3)
REFUSED = {
    "loss z": (binary_cross_entropy, ([1.0], Y2), TypeError, "z must be a NumPy array of shape (... m), got [1.0]"),
    "loss shape": (binary_cross_entropy, (X2, Y2), ValueError, "y must have shape (2, 3), got int64 array"),
    "loss y": (binary_cross_entropy, (W2, Y2), ValueError, "y must have shape (3,), got int64 array of shape (2,)"),
    "loss label": (binary_cross_entropy, (W2, W2 * 2), ValueError, "y must hold only 0 and 1, got 2.0 among them"),
}
for function in (cost, gradients):
    name = function.__name__
    REFUSED |= {
        f"{name} X": (
            function,
            (W2, Y2, W2, 0.0),
            ValueError,
            "X must have shape (m, n), got float64 array of shape (3,)",
        ),
        f"{name} y": (
            function,
            (X2, W2, W2, 0.0),
            ValueError,
            "y must have shape (2,), got float64 array of shape (3,)",
        ),
        f"{name} w": (function, (X2, Y2, np.ones(2), 0.0), ValueError, "w must have shape (n=3), got"),
        f"{name} nan": (
            function,
            (X2 * np.nan, Y2, W2, 0.0),
            ValueError,
            "X must be finite and small enough for X @ w + b",
        ),
        f"{name} b": (function, (X2, Y2, W2, "0"), TypeError, "b must be a number in (-inf, inf), got '0' (str)"),
    }


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


@pytest.mark.usefixtures("unchecked")
@given(arrays(np.float64, 5, elements=st.floats(-2, 2) | st.just(np.nan) | st.sampled_from([0.0, 1.0])))
def test_any_label_other_than_0_and_1_is_refused(y):
    z = np.zeros(5)
    wrong = [v for v in y if v not in (0, 1)]
    if wrong:
        with pytest.raises(ValueError, match=f"^y must hold only 0 and 1, got {re.escape(str(np.float64(wrong[0])))}"):
            binary_cross_entropy(z, y)
    else:
        np.testing.assert_allclose(binary_cross_entropy(z, y), np.log(2))


@pytest.mark.usefixtures("unchecked")
@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_shapes_that_do_not_belong_together_are_refused(m, n, labels, weights):
    arguments = np.ones((m, n)), np.ones(labels), np.ones(weights), 0.0
    if m and n and labels == m and weights == n:
        assert gradients(*arguments)[0].shape == (n,)
    else:
        with pytest.raises(ValueError, match=r"^(X|y|w) must "):
            gradients(*arguments)


@pytest.mark.usefixtures("unchecked")
def test_bad_hyperparameters_name_the_offender():
    for kwargs, error, message in [
        ({"weight_decay": -1}, ValueError, "weight_decay must be a number in [0, inf), got -1.0"),
        ({"lr": 0}, ValueError, "lr must be a number in (0, inf), got 0.0"),
        ({"max_iter": 0}, ValueError, "max_iter must be an integer >= 1, got 0"),
        ({"tol": -1e-9}, ValueError, "tol must be a number in [0, inf), got -1e-09"),
        ({"lr": "fast"}, TypeError, "lr must be a number in (0, inf), got 'fast' (str)"),
    ]:
        with pytest.raises(error, match="^" + re.escape(message) + "$"):
            LogisticRegression(**kwargs)
    for function in (cost, gradients):
        with pytest.raises(ValueError, match=r"^weight_decay must be a number in \[0, inf\), got -1.0$"):
            function(X2, Y2, W2, 0.0, weight_decay=-1)
    with pytest.raises(ValueError, match=r"^X must have shape \(m, n\)"):
        LogisticRegression().fit(W2, Y2)
    with pytest.raises(ValueError, match=r"^y must have shape \(2,\)"):
        LogisticRegression().fit(X2, W2)
    with pytest.raises(RuntimeError, match=r"^predict needs a trained model: call fit first$"):
        LogisticRegression().predict(X2)
    with pytest.raises(ValueError, match=r"^X must have shape \(m, n=3\), got float64 array of shape \(3, 2\)"):
        LogisticRegression().fit(X2, Y2).predict(X2.T)


def test_settings_by_name():
    """What scikit-learn's tools ask for; tests/test_contracts.py lets them ask."""
    model = LogisticRegression(weight_decay=0.5, max_iter=7)
    assert model.get_params() == {"weight_decay": 0.5, "lr": None, "max_iter": 7, "tol": 1e-6}
    assert repr(model) == "LogisticRegression(weight_decay=0.5, max_iter=7)"
    X, y = np.array([[-1.0], [2.0], [3.0], [-4.0]]), np.array([0, 1, 1, 0])
    model.set_params(max_iter=5000).fit(X, y)
    assert model.score(X, y) == 1
    assert model.score(X, 1 - y) == 0
    assert model.score(X, np.array([0, 1, 1, 1])) == 0.75
    assert isinstance(model.score(X, y), float)
    assert model.set_params(tol=0.1) is model
    assert (model.weight, model.max_iter, model.weight_decay, model.tol) == (None, 5000, 0.5, 0.1)
    with pytest.raises(
        ValueError, match=r"^params must be one of 'weight_decay', 'lr', 'max_iter', 'tol', got 'colour'"
    ):
        model.set_params(colour=1)
    tags = model.__sklearn_tags__()
    assert (tags.estimator_type, tags.target_tags.required, tags.classifier_tags.multi_class) == (
        "classifier",
        True,
        False,
    )
    assert model.classes_.tolist() == [0, 1]
