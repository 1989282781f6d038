"""Mirrors dlref/neurons/frameworks.py."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from dlref.data import digits
from dlref.neurons import MLP, Variable, one_hot, unbroadcast

SHAPES = {
    "same": ((3, 4), (3, 4)),
    "row": ((3, 4), (4,)),
    "column": ((3, 4), (3, 1)),
    "outer": ((3, 1), (1, 4)),
    "deeper": ((4,), (2, 3, 4)),
    "single": ((3, 4), (1, 1)),
    "scalar": ((), (2, 3)),
    "kept one": ((2, 1, 4), (3, 1)),
}
BINARY = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
}


def values(*shape, seed=0):
    return np.asarray(np.random.default_rng(seed).uniform(0.5, 2.0, shape))


def compare(function, *arrays, tolerance=1e-12):
    """Value and gradients of a function with a random upstream gradient, against torch."""
    ours, theirs = [Variable(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    y, t = function(*ours), function(*theirs)
    np.testing.assert_allclose(y.value, t.detach().numpy(), rtol=tolerance)
    upstream = values(*y.shape, seed=9) - 1
    (y * upstream).sum().backward()
    (t * torch.tensor(upstream)).sum().backward()
    for variable, tensor in zip(ours, theirs, strict=True):
        assert variable.grad.shape == variable.shape
        np.testing.assert_allclose(variable.grad, tensor.grad.numpy(), rtol=1e-10, atol=tolerance)


@pytest.mark.verifies("eq-vjp", "eq-unbroadcast")
@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize("case", SHAPES)
def test_arithmetic_broadcasts_as_torch_does(operation, case):
    first, second = SHAPES[case]
    compare(BINARY[operation], values(*first), values(*second, seed=1))
    compare(BINARY[operation], values(*second, seed=1), values(*first))


UNARY = {
    "negative": lambda x: -x,
    "square": lambda x: x**2,
    "root": lambda x: x**0.5,
    "reciprocal": lambda x: x**-1,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: (x - 1.2).relu(),
    "transposed": lambda x: x.T,
    "reshape": lambda x: x.reshape(2, 6),
    "flat": lambda x: x.reshape(-1),
    "sum": lambda x: x.sum() + 0.0 * x,
    "constant right": lambda x: x * 2.0 + 3.0 - 1.0,
    "constant left": lambda x: 2.0 - 3.0 * (1.0 + x),
    "divided by": lambda x: 2.0 / x / 3.0,
    "used twice": lambda x: x * x + x.exp() * x,
}


@pytest.mark.verifies("eq-vjp")
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name):
    compare(UNARY[name], values(3, 4))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sums_and_means_along_an_axis(axis, keepdims):
    names = {"keepdims": keepdims}
    compare(lambda x: x.sum(axis, **names), values(3, 4))
    compare(lambda x: x.mean(axis, **names), values(3, 4))
    assert Variable(values(3, 4)).sum(axis, keepdims=keepdims).shape == values(3, 4).sum(axis, keepdims=keepdims).shape


def test_sum_and_mean_of_everything():
    compare(lambda x: x.sum() * x, values(3, 4))
    compare(lambda x: x.mean() * x, values(3, 4))
    x = Variable(values(3, 4))
    assert x.mean().shape == x.sum().shape == ()
    assert x.mean(0).shape == x.sum(0).shape == (4,)
    assert x.mean(keepdims=True).shape == x.sum(keepdims=True).shape == (1, 1)
    x.mean(keepdims=True).backward()
    np.testing.assert_allclose(x.grad, 1 / 12)
    x.sum(keepdims=True).backward()
    np.testing.assert_allclose(x.grad, 1)


@pytest.mark.verifies("eq-vjp-matmul")
def test_matrix_product():
    compare(lambda x, y: x @ y, values(3, 4), values(4, 2, seed=1))
    x, w = values(3, 4), values(4, 2, seed=1)
    X, W = Variable(x), Variable(w)
    upstream = values(3, 2, seed=2)
    ((X @ W) * upstream).sum().backward()
    np.testing.assert_allclose(X.grad, upstream @ w.T)
    np.testing.assert_allclose(W.grad, x.T @ upstream)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5)])
def test_log_softmax_is_torchs_and_does_not_overflow(scale, shape):
    z = scale * (values(*shape) - 1)
    ours, theirs = Variable(z), torch.tensor(z, requires_grad=True)
    y, t = ours.log_softmax(), torch.log_softmax(theirs, -1)
    np.testing.assert_allclose(y.value, t.detach().numpy(), rtol=1e-10, atol=1e-12)
    upstream = values(*shape, seed=3)
    (y * upstream).sum().backward()
    (t * torch.tensor(upstream)).sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_arrays_may_stand_on_either_side():
    a, x = values(2, 3), Variable(values(2, 3, seed=1))
    for y in (a + x, a - x, a * x, a / x, x + a, a.T @ x, np.float64(2.0) * x):
        assert isinstance(y, Variable)
    np.testing.assert_allclose((a - x).value, a - x.value)
    np.testing.assert_allclose((a / x).value, a / x.value)
    np.testing.assert_allclose((a.T @ x).value, a.T @ x.value)


def test_numbers_and_whole_numbers_become_floats():
    assert Variable(3).value.dtype == float
    assert Variable(np.array([1, 2])).value.dtype == float
    assert Variable(3).shape == ()
    assert Variable(np.ones((2, 3))).shape == (2, 3)
    assert Variable(np.ones(2)).grad.tolist() == [0, 0]
    assert Variable(1.0).op == "leaf"
    single = Variable(np.ones(2, np.float32))
    assert single.value.dtype == np.float32


def test_operations_are_named():
    x = Variable(values(2, 2))
    results = (x + x, x * x, x / x, x**2, x @ x, -x, x.T, x.reshape(4), x.sum(), x.exp(), x.log(), x.tanh(), x.relu())
    names = ("+", "×", "÷", "^2", "@", "−", "T", "reshape", "sum", "exp", "log", "tanh", "relu")
    assert [y.op for y in results] == list(names)


def test_gradients_are_set_not_added():
    x = Variable(3.0)
    y = x**2
    y.backward()
    y.backward()
    assert x.grad == 6
    assert y.grad == 1
    (x * 5.0).backward()
    assert x.grad == 5


def test_shared_and_unused_variables():
    x, unused = Variable(values(3)), Variable(values(3))
    h = x.tanh()
    (h * h + h).sum().backward()
    np.testing.assert_allclose(x.grad, (2 * np.tanh(x.value) + 1) * (1 - np.tanh(x.value) ** 2))
    assert not unused.grad.any()


def test_long_chain_needs_no_deep_stack():
    x = Variable(1.0)
    y = x
    for _ in range(5000):
        y = y + x
    y.backward()
    assert x.grad == 5001


def test_relu_has_slope_zero_at_zero():
    x = Variable(np.array([-1.0, 0.0, 2.0]))
    x.relu().sum().backward()
    assert x.grad.tolist() == [0, 0, 1]


def test_network_trains_as_torch_and_as_by_hand():
    split = digits()
    X, Y = split.x_train[:60].reshape(60, -1).astype(float), one_hot(split.y_train[:60], 10)
    hand = MLP([784, 12, 10], activation="tanh")
    pairs = [(Variable(W), Variable(b)) for W, b in hand.parameters]
    tensors = [torch.tensor(v, requires_grad=True) for pair in hand.parameters for v in pair]
    optimizer = torch.optim.SGD(tensors, lr=0.3)
    for _ in range(30):
        (W1, b1), (W2, b2) = pairs
        scores = (X @ W1.T + b1).tanh() @ W2.T + b2
        J = -(scores.log_softmax() * Y).sum() / 60.0
        J.backward()
        for v in (W1, b1, W2, b2):
            v.value = v.value - 0.3 * v.grad
        hand.fit(X, Y, lr=0.3, epochs=1, batch_size=60)
        optimizer.zero_grad()
        u1, c1, u2, c2 = tensors
        loss = torch.nn.functional.cross_entropy(torch.tanh(torch.tensor(X) @ u1.T + c1) @ u2.T + c2, torch.tensor(Y))
        loss.backward()
        optimizer.step()
        assert J.value == pytest.approx(loss.item(), rel=1e-10)
    ours = [v.value for pair in pairs for v in pair]
    by_hand = [v for pair in hand.parameters for v in pair]
    for a, b, t in zip(ours, by_hand, tensors, strict=True):
        np.testing.assert_allclose(a, t.detach().numpy(), atol=1e-10)
        np.testing.assert_allclose(a, b, atol=1e-10)
    assert J.value < 0.5


@pytest.mark.verifies("eq-fed-quadratic")
def test_fed_quadratic_has_its_minimum_at_five():
    w = Variable(0.0)
    for t in range(1000):
        c0, c1, c2 = np.array([1.0, -10.0, 25.0])
        J = c0 * w**2 + c1 * w + c2
        J.backward()
        assert w.grad == pytest.approx(2 * w.value - 10)
        w.value = w.value - 0.01 * w.grad
        if t == 0:
            assert w.value == pytest.approx(0.1)
    assert w.value == pytest.approx(5)


@pytest.mark.verifies("eq-unbroadcast")
@pytest.mark.parametrize(
    ("shape", "full"), [((4,), (3, 4)), ((3, 1), (3, 4)), ((1, 1), (3, 4)), ((), (3, 4)), ((2, 1, 4), (5, 2, 3, 4))]
)
def test_unbroadcast_is_the_derivative_of_broadcasting(shape, full):
    gradient = values(*full)
    x = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    (x.expand(full) * torch.tensor(gradient)).sum().backward()
    ours = unbroadcast(gradient, shape)
    assert ours.shape == shape
    np.testing.assert_allclose(ours, x.grad.numpy())
    assert unbroadcast(gradient, full).tolist() == gradient.tolist()


@pytest.mark.own_process
def test_guard_tells_running_from_importing(tmp_path):
    (tmp_path / "func.py").write_text('print(__name__)\nif __name__ == "__main__":\n    print("program")\n')
    for arguments, printed in ((["func.py"], ["__main__", "program"]), (["-c", "import func"], ["func"])):
        ran = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert ran.stdout.split() == printed


ONE = Variable(np.ones((2, 3)))
REFUSED = {
    "text": (Variable, ("1",), TypeError, "value must be a number in (-inf, inf), got '1' (str)"),
    "list": (Variable, ([1.0],), TypeError, "value must be a number in (-inf, inf), got [1.0] (list)"),
    "nan": (Variable, (float("nan"),), ValueError, "value must be a number in (-inf, inf), got nan"),
    "array": (Variable, (np.array([np.inf]),), ValueError, "value must be finite, got 1 NaN or infinite values"),
    "words": (Variable, (np.array(["a"]),), TypeError, "value must hold floating-point numbers, got <U1 array"),
    "backward": (ONE.backward, (), ValueError, "backward needs a single number, got float64 array of shape (2, 3)"),
    "other": (ONE.__add__, (None,), TypeError, "value must be a number in (-inf, inf), got None (NoneType)"),
    "exponent": (ONE.__pow__, ("2",), TypeError, "exponent must be a number in (-inf, inf), got '2' (str)"),
    "vector": (ONE.__matmul__, (np.ones(3),), ValueError, "@ needs two matrices, got shapes (2, 3) and (3,)"),
    "stack": (ONE.__rmatmul__, (np.ones((1, 4, 2)),), ValueError, "@ needs two matrices, got shapes (1, 4, 2) and (2"),
    "log": (Variable(np.array([1.0, -2.0])).log, (), ValueError, "value must be positive for its logarithm, got -2.0"),
    "log zero": (Variable(0.0).log, (), ValueError, "value must be positive for its logarithm, got 0.0 among them"),
    "unbroadcast": (
        unbroadcast,
        (np.ones((3, 4)), (3,)),
        ValueError,
        "shape must broadcast to that of gradient, (3, 4)",
    ),
    "longer": (unbroadcast, (np.ones(4), (1, 4)), ValueError, "shape must broadcast to that of gradient, (4,), got (1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
