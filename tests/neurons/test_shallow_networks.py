"""Mirrors dlref/neurons/shallow_networks.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dlref.neurons import ACTIVATIONS, Activation, dense, dense_gradients, initial_parameters, sigmoid


def problem(m=5, K=3, N=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, K)), rng.normal(size=(N, K)), rng.normal(size=N), rng.normal(size=(m, N))


@pytest.mark.verifies("eq-layer", "eq-layouts", "eq-forward")
def test_layer_is_torchs_the_sums_and_the_other_layout(close):
    A, W, b, _ = problem()
    Z = dense(A, W, b)
    close(Z, torch.nn.functional.linear(*map(torch.from_numpy, (A, W, b))).numpy())
    for i in range(5):
        for j in range(4):
            assert Z[i, j] == pytest.approx(sum(W[j, k] * A[i, k] for k in range(3)) + b[j])
    close((W @ A.T + b[:, None]).T, Z)


@pytest.mark.verifies("eq-dw", "eq-da1")
def test_gradients_are_autograds_and_the_sums(close):
    A, W, b, dZ = problem()
    tensors = [torch.tensor(v, requires_grad=True) for v in (A, W, b)]
    torch.nn.functional.linear(*tensors).backward(torch.from_numpy(dZ))
    for ours, theirs in zip(dense_gradients(dZ, A, W), tensors, strict=True):
        close(ours, theirs.grad.numpy())
    dA, dW, db = dense_gradients(dZ, A, W)
    for k in range(3):
        for j in range(4):
            assert dW[j, k] == pytest.approx(sum(dZ[i, j] * A[i, k] for i in range(5)))
        for i in range(5):
            assert dA[i, k] == pytest.approx(sum(dZ[i, j] * W[j, k] for j in range(4)))
    assert db[2] == pytest.approx(sum(dZ[i, 2] for i in range(5)))


@pytest.mark.verifies("eq-activation-derivatives")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_derivatives_are_torchs(name, close):
    z = torch.tensor(np.linspace(-5, 5, 40), requires_grad=True)
    theirs = getattr(torch, name)(z)
    theirs.sum().backward()
    g = ACTIVATIONS[name]
    assert isinstance(g, Activation)
    a = g.function(z.detach().numpy())
    close(a, theirs.detach().numpy())
    close(g.derivative(a), z.grad.numpy())
    single = g.function(z.detach().numpy().astype(np.float32))
    assert single.dtype == g.derivative(single).dtype == np.float32


def test_relu_has_slope_zero_at_zero():
    relu, x = ACTIVATIONS["relu"], torch.zeros(1, requires_grad=True)
    torch.relu(x).backward()
    assert relu.derivative(relu.function(np.zeros(2))).tolist() == [0, 0]
    assert x.grad.item() == 0


def test_names_of_the_activations():
    assert list(ACTIVATIONS) == ["sigmoid", "tanh", "relu"]
    assert ACTIVATIONS["sigmoid"].function is sigmoid


@given(arrays(np.float64, 4, elements=st.floats(-20, 20)))
def test_tanh_is_a_stretched_sigmoid(z):
    np.testing.assert_allclose(ACTIVATIONS["tanh"].function(z), 2 * sigmoid(2 * z) - 1, atol=1e-15)


@pytest.mark.verifies("eq-dz2", "eq-dz1")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_two_layer_network_by_hand_agrees_with_autograd(name, close):
    X, W1, b1, _ = problem()
    W2, b2 = np.random.default_rng(1).normal(size=(2, 4)), np.array([0.1, -0.2])
    Y = (np.random.default_rng(2).random((5, 2)) < 0.5).astype(float)
    g = ACTIVATIONS[name]
    A1 = g.function(dense(X, W1, b1))
    dZ2 = (sigmoid(dense(A1, W2, b2)) - Y) / 5
    dA1, dW2, db2 = dense_gradients(dZ2, A1, W2)
    dX, dW1, db1 = dense_gradients(dA1 * g.derivative(A1), X, W1)

    tensors = [torch.tensor(v, requires_grad=True) for v in (X, W1, b1, W2, b2)]
    x, w1, c1, w2, c2 = tensors
    scores = getattr(torch, name)(x @ w1.T + c1) @ w2.T + c2
    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, torch.from_numpy(Y), reduction="none")
    loss.sum(1).mean().backward()
    for ours, theirs in zip((dX, dW1, db1, dW2, db2), tensors, strict=True):
        close(ours, theirs.grad.numpy())


@pytest.mark.verifies("eq-initial")
@pytest.mark.parametrize("scale", [1.0, 2**0.5])
def test_spread_of_the_initial_weights(scale):
    (W1, b1), (W2, b2) = initial_parameters([400, 300, 200], seed=0, scale=scale)
    for W, b, inputs in ((W1, b1, 400), (W2, b2, 300)):
        assert W.std() == pytest.approx(scale / inputs**0.5, rel=0.02)
        assert abs(W.mean()) < 5 * W.std() / W.size**0.5
        assert 3 < np.abs(W).max() / W.std() < 6
        assert not b.any()
    assert np.abs(np.corrcoef(W1.ravel()[:60000], W2.ravel())[0, 1]) < 0.02
    scores = dense(np.random.default_rng(1).normal(size=(500, 400)), W1, b1)
    assert scores.std() == pytest.approx(scale, rel=0.02)


def test_seed_dtype_and_shapes():
    one, same, other = (initial_parameters((3, 5, 2), seed=s) for s in (0, 0, 1))
    assert [(W.shape, b.shape) for W, b in one] == [((5, 3), (5,)), ((2, 5), (2,))]
    for a, b, c in zip(one, same, other, strict=True):
        assert (a[0] == b[0]).all()
        assert (a[0] != c[0]).all()
    single = initial_parameters([3, 5], seed=0, dtype=np.float32)[0]
    assert single[0].dtype == single[1].dtype == np.float32
    assert not initial_parameters([3, 5], seed=0, scale=0.0)[0][0].any()
    assert initial_parameters([3, 5], seed=0)[0][0].dtype == np.float64
    assert (initial_parameters([3, 5], seed=0)[0][0] == initial_parameters([3, 5], seed=0, scale=1.0)[0][0]).all()


A2, W2, B2 = np.ones((2, 3)), np.ones((4, 3)), np.ones(4)
REFUSED = {
    "dense A": (dense, (B2, W2, B2), ValueError, "A must have shape (m, K), got float64 array of shape (4,)"),
    "dense W": (dense, (A2, W2.T, B2), ValueError, "W must have shape (N, K=3), got float64 array of shape (3, 4)"),
    "dense b": (dense, (A2, W2, B2[:2]), ValueError, "b must have shape (N=4), got float64 array of shape (2,)"),
    "dense list": (dense, ([[1.0]], W2, B2), TypeError, "A must be a NumPy array of shape (m K), got [[1.0]] (list)"),
    "back dZ": (dense_gradients, (B2, A2, W2), ValueError, "dZ must have shape (m, N), got float64 array of shape"),
    "back A": (dense_gradients, (np.ones((5, 4)), A2, W2), ValueError, "A must have shape (m=5, K), got float64"),
    "back W": (dense_gradients, (np.ones((2, 4)), A2, W2.T), ValueError, "W must have shape (N=4, K=3), got float64"),
    "back W units": (dense_gradients, (np.ones((2, 5)), A2, W2), ValueError, "W must have shape (N=5, K=3), got"),
    "one size": (
        lambda n: initial_parameters(n, seed=0),
        ([3],),
        TypeError,
        "sizes must be at least two whole numbers",
    ),
    "sizes text": (lambda n: initial_parameters(n, seed=0), ("34",), TypeError, "sizes must be at least two whole"),
    "sizes number": (lambda n: initial_parameters(n, seed=0), (7,), TypeError, "sizes must be at least two whole num"),
    "size": (lambda n: initial_parameters(n, seed=0), ([3, 0],), ValueError, "sizes must be an integer >= 1, got 0"),
    "seed": (lambda s: initial_parameters([3, 1], seed=s), (-1,), ValueError, "seed must be an integer >= 0, got -1"),
    "dtype": (
        lambda t: initial_parameters([3, 1], seed=0, dtype=t),
        (int,),
        TypeError,
        "dtype must be a type of floats, got <class 'int'>",
    ),
    "scale": (
        lambda s: initial_parameters([3, 1], seed=0, scale=s),
        (-1.0,),
        ValueError,
        "scale must be a number in [0, inf), got -1.0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


def test_a_diverging_network_is_not_refused_by_its_layers():
    assert np.isnan(dense(np.full((1, 3), np.nan), W2, B2)).all()
    assert np.isinf(dense(A2, W2 * np.inf, B2)).all()
    assert np.isinf(dense(A2, W2, B2 * np.inf)).all()
    for broken in (0, 1, 2):
        arguments = [np.ones((2, 4)), A2.copy(), W2.copy()]
        arguments[broken][:] = np.nan
        assert any(np.isnan(part).any() for part in dense_gradients(*arguments))
