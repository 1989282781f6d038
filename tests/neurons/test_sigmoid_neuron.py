"""Mirrors dlref/neurons/sigmoid_neuron.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dlref.neurons import gradient_descent, sigmoid, squared_error, squared_error_gradients

finite = st.floats(-1e6, 1e6)


def problem(m=7, n=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, n)), rng.random(m), rng.normal(size=n), 0.3


@pytest.mark.verifies("eq-sigmoid")
@given(arrays(np.float64, st.integers(1, 5), elements=finite))
def test_sigmoid_is_torchs_and_symmetric(z):
    torch.testing.assert_close(sigmoid(z), torch.sigmoid(torch.from_numpy(z.copy())).numpy(), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(sigmoid(-z), 1 - sigmoid(z), atol=1e-15)


def test_sigmoid_keeps_shape_and_precision_in_the_tails(close):
    z = np.array([[-700.0, -40.0], [0.0, 40.0]])
    close(sigmoid(z), 1 / (1 + np.exp(-z)), rtol=1e-15, atol=0.0)
    assert sigmoid(np.array([-1e308, 1e308])).tolist() == [0, 1]


@pytest.mark.verifies("eq-sigmoid-slope")
def test_slope_of_the_sigmoid_is_autograds_and_at_most_a_quarter(close):
    z = torch.linspace(-9, 9, 41, dtype=torch.float64, requires_grad=True)
    torch.sigmoid(z).sum().backward()
    a = sigmoid(z.detach().numpy())
    close(a * (1 - a), z.grad.numpy())
    assert (a * (1 - a)).max() == pytest.approx(0.25)


@pytest.mark.verifies("eq-sigmoid-neuron", "eq-squared-error", "eq-squared-gradient")
def test_error_and_gradients_are_autograds_and_central_differences(close):
    X, y, w, b = problem()
    W, B = torch.tensor(w, requires_grad=True), torch.tensor(b, dtype=torch.float64, requires_grad=True)
    E = torch.nn.functional.mse_loss(torch.sigmoid(torch.from_numpy(X) @ W + B), torch.from_numpy(y))
    E.backward()
    close(squared_error(X, y, w, b), np.array(E.item()))
    dw, db = squared_error_gradients(X, y, w, b)
    close(dw, W.grad.numpy())
    close(db, np.array(B.grad.item()))
    h = 1e-5
    for j, e in enumerate(h * np.eye(3)):
        slope = (squared_error(X, y, w + e, b) - squared_error(X, y, w - e, b)) / (2 * h)
        assert abs(slope - dw[j]) < 1e-9
    assert abs((squared_error(X, y, w, b + h) - squared_error(X, y, w, b - h)) / (2 * h) - db) < 1e-9


def test_grid_of_neurons_is_each_of_them(close):
    X, y, _, _ = problem()
    rng = np.random.default_rng(1)
    w, b = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5))
    E, (dw, db) = squared_error(X, y, w, b), squared_error_gradients(X, y, w, b)
    assert (E.shape, dw.shape, db.shape) == ((2, 5), (2, 5, 3), (2, 5))
    for i in np.ndindex(2, 5):
        close(squared_error(X, y, w[i], float(b[i])), np.array(E[i]))
        one = squared_error_gradients(X, y, w[i], float(b[i]))
        close(one[0], dw[i])
        close(one[1], np.array(db[i]))


def test_labels_may_be_whole_numbers_or_truth_values(close):
    X, _, w, b = problem()
    y = np.array([0, 1, 1, 0, 1, 0, 0])
    close(squared_error(X, y, w, b), squared_error(X, y == 1, w, b))
    close(squared_error(X, y, w, b), squared_error(X, y.astype(float), w, np.array(b)))


@pytest.mark.verifies("eq-three-models")
def test_three_models_are_fitted_by_one_algorithm(close):
    """Linear and quadratic reach the least squares solution; the quadratic form equals its features."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    A, w, b = rng.normal(size=(2, 2)), rng.normal(size=2), 0.7
    features = np.column_stack([X**2, X[:, :1] * X[:, 1:], X, np.ones(30)])
    theta = np.array([A[0, 0], A[1, 1], A[0, 1] + A[1, 0], *w, b])
    close(features @ theta, np.einsum("mi,ij,mj->m", X, A, X) + X @ w + b)
    for F in (features[:, 3:], features):
        found = gradient_descent(lambda t, F=F: 2 * F.T @ (F @ t - y) / 30, np.zeros(F.shape[1]), lr=0.05, steps=5000)
        close(found[-1], np.linalg.lstsq(F, y, rcond=None)[0], rtol=1e-6, atol=1e-8)


@pytest.mark.verifies("eq-descent")
def test_descent_is_torchs_sgd(close):
    H = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    theta = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer, path = torch.optim.SGD([theta], lr=0.1), [theta.detach().numpy().copy()]
    for _ in range(9):
        optimizer.zero_grad()
        (theta @ H @ theta / 2).backward()
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    close(gradient_descent(lambda t: H.numpy() @ t, path[0], lr=0.1, steps=9), np.array(path))


def test_descent_leaves_its_start_alone():
    start = np.ones(2)
    path = gradient_descent(lambda t: t, start, lr=0.5, steps=1)
    path[0] = 7
    assert start.tolist() == [1, 1]


def test_divergence_says_when():
    with pytest.raises(FloatingPointError, match=r"^gradient descent diverged at step 2: lr=1e\+200 is too large$"):
        gradient_descent(lambda t: t, np.ones(1), lr=1e200, steps=5)
    with pytest.raises(FloatingPointError, match="step 1: lr=1 is too large"):
        gradient_descent(lambda t: t * np.inf - np.inf, np.ones(2), lr=1.0, steps=5)


def test_constant_gradient_may_be_followed_for_one_step_only():
    assert gradient_descent(lambda _: np.ones(1), np.zeros(1), lr=1.0, steps=1).tolist() == [[0], [-1]]


X2, Y2, W2 = np.ones((2, 3)), np.array([0.0, 1.0]), np.ones(3)
REFUSED = {
    "z list": (sigmoid, ([1.0],), TypeError, "z must be a NumPy array of shape (... m), got [1.0] (list)"),
    "z scalar": (sigmoid, (np.array(1.0),), ValueError, "z must have shape (..., m), got float64 array of shape ()"),
    "z empty": (sigmoid, (np.zeros(0),), ValueError, "z must not be empty"),
    "z nan": (sigmoid, (np.array([np.nan]),), ValueError, "z must be finite, got 1 NaN"),
    "start": (
        lambda s: gradient_descent(abs, s, lr=1.0, steps=1),
        (np.ones((1, 1)),),
        ValueError,
        "start must have shape (D), got float64 array of shape (1, 1)",
    ),
    "lr": (lambda lr: gradient_descent(abs, W2, lr=lr, steps=1), (0.0,), ValueError, "lr must be a number in (0, inf)"),
    "steps": (lambda n: gradient_descent(abs, W2, lr=1.0, steps=n), (0,), ValueError, "steps must be an integer >= 1"),
}
for function in (squared_error, squared_error_gradients):
    name = function.__name__
    REFUSED |= {
        f"{name} X": (function, (W2, Y2, W2, 0.0), ValueError, "X must have shape (m, n), got float64"),
        f"{name} y": (function, (X2, W2, W2, 0.0), ValueError, "y must have shape (m=2), got float64"),
        f"{name} y text": (function, (X2, np.array(["a", "b"]), W2, 0.0), TypeError, "y must hold floating-point"),
        f"{name} w": (function, (X2, Y2, np.ones(2), 0.0), ValueError, "w must have shape (..., n=3), got float64"),
        f"{name} b": (
            function,
            (X2, Y2, np.ones((4, 2, 3)), np.ones(3)),
            ValueError,
            "b must have the leading axes of w, (4, 2), got float64 array of shape (3,)",
        ),
        f"{name} b text": (function, (X2, Y2, W2, "1"), TypeError, "b must be a number in (-inf, inf), got '1'"),
        f"{name} b inf": (function, (X2, Y2, X2, np.full(2, np.inf)), ValueError, "b must be finite, got 2 NaN or"),
        f"{name} b nan": (function, (X2, Y2, W2, np.nan), ValueError, "b must be a number in (-inf, inf), got nan"),
        f"{name} b list": (
            function,
            (X2, Y2, X2, [1.0, 2.0]),
            TypeError,
            "b must be a number in (-inf, inf), got [1.0, 2.0] (list)",
        ),
    }


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
