"""Mirrors dlref/neurons/deep_networks.py."""

import numpy as np
import pytest
import torch

from dlref.data import digits
from dlref.neurons import (
    MLP,
    OUTPUTS,
    boolean_inputs,
    dense,
    gradient_error,
    initial_parameters,
    numerical_gradient,
    one_hot,
    parity_network,
    tower_network,
)

LOSSES = {
    "classes": torch.nn.functional.cross_entropy,
    "labels": lambda z, y: torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1).mean(),
    "regression": lambda z, y: torch.nn.functional.mse_loss(z, y, reduction="none").sum(1).mean() / 2,
}


def problem(output="classes", m=7, n=3, K=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n))
    targets = {
        "classes": rng.integers(0, K, m),
        "labels": rng.integers(0, 2, (m, K)),
        "regression": rng.normal(size=(m, K)),
    }
    return X, targets[output]


def twin(model, activation):
    """The same network in torch, with the same parameters."""
    names = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    layers = []
    for W, b in model.parameters:
        linear = torch.nn.Linear(*W.shape[::-1], dtype=torch.from_numpy(W).dtype)
        linear.load_state_dict({"weight": torch.from_numpy(W), "bias": torch.from_numpy(b)})
        layers += [linear, names[activation]()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.verifies("eq-deep-forward", "eq-deep-backward")
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("hidden", [(), (5,), (6, 5, 3)])
def test_loss_and_every_gradient_are_torchs(output, activation, hidden, close):
    X, y = problem(output)
    model = MLP([3, *hidden, 4], activation=activation, output=output, seed=1)
    model.parameters = [(W, b + 0.1) for W, b in model.parameters]
    theirs = twin(model, activation)
    target = torch.from_numpy(y) if output == "classes" else torch.from_numpy(y).double()
    scores = theirs(torch.from_numpy(X))
    expected = LOSSES[output](scores, target)
    expected.backward()
    loss, gradients = model.gradients(X, y)
    close(loss, expected.item())
    close(model.loss(X, y), expected.item())
    close(model.forward(X)[-1], scores.detach().numpy())
    found = [value for pair in gradients for value in pair]
    for ours, parameter in zip(found, theirs.parameters(), strict=True):
        close(ours, parameter.grad.numpy())
    numeric = numerical_gradient(lambda theta: at(model, theta, X, y), model.flat())
    assert np.abs(np.concatenate([v.ravel() for v in found]) - numeric).max() < 1e-8


def at(model, theta, X, y):
    before = model.flat()
    model.set_flat(theta)
    loss = model.loss(X, y)
    model.set_flat(before)
    return loss


def test_forward_keeps_the_inputs_and_every_activation(close):
    X, _ = problem()
    model = MLP([3, 6, 5, 4], activation="tanh")
    A0, A1, A2, Z3 = model.forward(X)
    close(A0, X)
    close(A1, np.tanh(dense(X, *model.parameters[0])))
    close(A2, np.tanh(dense(A1, *model.parameters[1])))
    close(Z3, dense(A2, *model.parameters[2]))


@pytest.mark.parametrize(("output", "rows"), [("classes", False), ("labels", True), ("regression", True)])
def test_training_is_torchs_sgd_over_the_same_batches(output, rows, close):
    X, y = problem(output, m=11)
    model = MLP([3, 5, 4], activation="tanh", output=output, seed=3)
    theirs = twin(model, "tanh")
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.2)
    rng, history = np.random.default_rng(3), []
    target = torch.from_numpy(y).double() if rows else torch.from_numpy(y)
    for _ in range(3):
        order, total = rng.permutation(11), 0.0
        for batch in (order[:4], order[4:8], order[8:]):
            optimizer.zero_grad()
            loss = LOSSES[output](theirs(torch.from_numpy(X[batch])), target[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        history.append(total / 11)
    assert model.fit(X, y, lr=0.2, epochs=3, batch_size=4) is model
    close(model.history, history)
    for ours, parameter in zip([v for pair in model.parameters for v in pair], theirs.parameters(), strict=True):
        close(ours, parameter.detach().numpy())
    model.fit(X, y, lr=0.2, epochs=1, batch_size=4)
    assert len(model.history) == 4, "training goes on"


def test_defaults_of_training_and_of_towers(close):
    X, y = problem(m=70)
    spoken, silent = MLP([3, 5, 4]), MLP([3, 5, 4])
    spoken.fit(X, y, lr=0.1, epochs=10, batch_size=32)
    silent.fit(X, y)
    close(silent.flat(), spoken.flat())
    corner = {"low": np.zeros(1), "high": np.ones(1)}
    for ours, theirs in zip(
        tower_network(np.ravel, 3, **corner), tower_network(np.ravel, 3, **corner, steepness=100.0), strict=True
    ):
        close(ours, theirs)


def test_predictions_of_each_output(close):
    X, _ = problem(m=9)
    for output in OUTPUTS:
        model = MLP([3, 4], output=output)
        Z = dense(X, *model.parameters[0])
        close(model.predict_outputs(X), OUTPUTS[output].activation(Z))
        expected = {"classes": Z.argmax(1), "labels": (Z > 0).astype(int), "regression": Z}[output]
        close(model.predict(X), expected)
    model = MLP([1, 1], output="labels")
    model.parameters = [(np.zeros((1, 1)), np.zeros(1))]
    assert model.predict(np.ones((1, 1))).tolist() == [[0]], "one half is not more probable than not"


def test_rows_of_probabilities_are_targets_too(close):
    X, y = problem()
    model = MLP([3, 4])
    close(model.loss(X, y), model.loss(X, one_hot(y, 4)))


def test_digits_are_learned():
    split = digits()
    X, T = split.x_train.reshape(-1, 784), split.x_test.reshape(-1, 784)
    model = MLP([784, 200, 10], dtype=np.float32).fit(X, split.y_train, lr=0.2, epochs=15)
    assert np.mean(model.predict(T) == split.y_test) >= 0.94
    assert all(value.dtype == np.float32 for pair in model.parameters for value in pair)
    assert model.history[-1] < 0.05 < model.history[0]


def test_single_precision_follows_double():
    X, y = problem(m=20)
    runs = [MLP([3, 6, 4], dtype=t).fit(X, y, epochs=5, batch_size=4) for t in (np.float64, np.float32)]
    np.testing.assert_allclose(runs[0].flat(), runs[1].flat(), rtol=1e-3, atol=1e-5)
    assert runs[1].flat().dtype == runs[1].predict_outputs(X).dtype == np.float32


def test_initial_parameters_follow_the_activation(close):
    for activation, scale in (("relu", 2**0.5), ("tanh", 1.0), ("sigmoid", 1.0)):
        expected = initial_parameters([3, 5, 2], seed=4, scale=scale)
        model = MLP([3, 5, 2], activation=activation, seed=4)
        close(model.flat(), np.concatenate([v.ravel() for pair in expected for v in pair]))
    small = MLP([3, 5, 2], scale=0.1, seed=4)
    close(10 * small.flat(), MLP([3, 5, 2], scale=1.0, seed=4).flat())
    assert MLP([3, 2]).history == []
    close(MLP([3, 2]).flat(), MLP([3, 2], activation="relu", output="classes", seed=0, dtype=np.float64).flat())


def test_flat_and_back(close):
    model = MLP([3, 5, 2])
    theta = model.flat()
    assert theta.shape == (3 * 5 + 5 + 5 * 2 + 2,)
    close(theta[:15].reshape(5, 3), model.parameters[0][0])
    other = MLP([3, 5, 2], seed=9)
    other.set_flat(theta)
    for ours, theirs in zip(other.parameters, model.parameters, strict=True):
        close(ours, theirs)
    single = MLP([3, 5, 2], dtype=np.float32)
    single.set_flat(theta)
    assert single.parameters[1][1].dtype == np.float32


def test_divergence_is_said_in_words():
    X, y = problem("regression")
    model = MLP([3, 5, 4], output="regression")
    with pytest.raises(
        FloatingPointError, match=r"^the network's scores are no longer finite: the learning rate may be"
    ):
        model.fit(X, y, lr=50.0, epochs=200)
    assert 1 <= len(model.history) < 200
    assert np.isfinite(model.history).all()


@pytest.mark.verifies("eq-two-sided")
def test_numerical_gradient_is_exact_for_quadratics_and_second_order_else():
    H = np.array([[2.0, 1.0], [1.0, 3.0]])
    theta = np.array([0.3, -0.7])
    np.testing.assert_allclose(numerical_gradient(lambda t: float(t @ H @ t / 2), theta), H @ theta, atol=1e-9)
    assert theta.tolist() == [0.3, -0.7]

    def off(eps):
        return abs(numerical_gradient(lambda t: float(np.exp(t[0])), np.array([1.0]), eps=eps)[0] - np.e)

    assert off(1e-2) / off(1e-3) == pytest.approx(100, rel=0.01)
    single = numerical_gradient(lambda t: float((t**2).sum()), np.array([1.0, 2.0], np.float32), eps=1e-2)
    np.testing.assert_allclose(single, [2, 4], rtol=1e-3)


@pytest.mark.verifies("eq-gradient-error")
def test_gradient_error_by_hand():
    assert gradient_error(np.array([3.0, 4.0]), np.array([3.0, 4.0])) == 0
    assert gradient_error(np.array([3.0, 0.0]), np.array([0.0, 4.0])) == pytest.approx(5 / 7)
    assert gradient_error(np.array([1.0]), np.array([-1.0])) == 1
    assert gradient_error(np.zeros(2), np.zeros(2)) == 0


def test_a_planted_bug_is_caught():
    X, y = problem()
    model = MLP([3, 5, 4], activation="tanh")

    def error():
        found = np.concatenate([v.ravel() for pair in model.gradients(X, y)[1] for v in pair])
        return gradient_error(found, numerical_gradient(lambda t: at(model, t, X, y), model.flat()))

    assert error() < 1e-8
    model.g = model.g._replace(derivative=lambda a: 1 - a)
    assert error() > 1e-3


@pytest.mark.verifies("eq-xor-tree")
@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_tree_computes_parity(n):
    layers, X = parity_network(n), boolean_inputs(n).astype(float)
    A = X
    for W, b in layers:
        A = (dense(A, W, b) >= 0).astype(float)
    assert (A[:, 0] == X.sum(1) % 2).all()
    assert A.shape == (2**n, 1)
    assert len(layers) == 2 * np.log2(n)
    assert sum(len(b) for _, b in layers) == 3 * (n - 1)


@pytest.mark.verifies("eq-towers")
def test_towers_of_one_input_reach_the_values_at_their_centres():
    low, high = np.array([-1.0]), np.array([3.0])
    layers = tower_network(lambda X: np.cos(X[:, 0]), 8, low=low, high=high)
    assert [(W.shape, b.shape) for W, b in layers] == [((9, 1), (9,)), ((1, 9), (1,))]
    model = MLP([1, 9, 1], activation="sigmoid", output="regression")
    model.parameters = layers
    centres = -1 + 0.5 * (np.arange(8) + 0.5)[:, None]
    np.testing.assert_allclose(model.predict(centres), np.cos(centres), atol=1e-10)
    flat = centres + np.array([[-0.2, 0.2]])
    np.testing.assert_allclose(
        model.predict(flat.reshape(-1, 1)).reshape(8, 2), np.cos(centres).repeat(2, 1), atol=1e-3
    )
    border = model.predict(np.array([[-1.0], [3.0]]))
    np.testing.assert_allclose(border, np.cos(centres[[0, -1]]), atol=1e-10)


@pytest.mark.verifies("eq-towers")
@pytest.mark.parametrize("n", [2, 3])
def test_towers_of_several_inputs_fire_in_their_cells_alone(n):
    low, high = np.arange(n) - 1.0, np.arange(n) + 2.0
    weights = np.arange(1, n + 1)
    layers = tower_network(lambda X: X @ weights, 3, low=low, high=high)
    assert [W.shape for W, _ in layers] == [(4 * n, n), (3**n, 4 * n), (1, 3**n)]
    model = MLP([n, 4 * n, 3**n, 1], activation="sigmoid", output="regression")
    model.parameters = layers
    X = low + np.stack(np.meshgrid(*[np.arange(3)] * n), axis=-1).reshape(-1, n) + 0.5
    np.testing.assert_allclose(model.predict(X)[:, 0], X @ weights, atol=1e-8)
    off = X + np.random.default_rng(0).uniform(-0.4, 0.4, X.shape)
    np.testing.assert_allclose(model.predict(off)[:, 0], X @ weights, atol=1e-2)
    np.testing.assert_allclose(model.forward(X)[2], np.eye(3**n)[model.forward(X)[2].argmax(1)], atol=1e-8)


def test_walls_of_different_inputs_have_their_own_width():
    layers = tower_network(lambda X: X[:, 0], 4, low=np.array([0.0, 0.0]), high=np.array([1.0, 100.0]), steepness=50.0)
    W, b = layers[0]
    np.testing.assert_allclose(W[:5, 0], 200)
    np.testing.assert_allclose(W[5:, 1], 2)
    assert not W[:5, 1].any()
    assert not W[5:, 0].any()
    np.testing.assert_allclose(-b[:5] / 200, [-0.25, 0.25, 0.5, 0.75, 1.25])
    np.testing.assert_allclose(-b[5:] / 2, [-25, 25, 50, 75, 125])
    np.testing.assert_allclose(np.unique(layers[1][0]), [-50, 0, 50])
    np.testing.assert_allclose(layers[1][1], -50 * 1.5)
    assert layers[2][1].tolist() == [0]


def test_error_of_the_towers_falls():
    grid = np.linspace(0, 1, 500)[:, None]
    errors = []
    for towers in (5, 10, 20, 40):
        model = MLP([1, towers + 1, 1], activation="sigmoid", output="regression")
        model.parameters = tower_network(
            lambda X: np.sin(6 * X[:, 0]), towers, low=np.zeros(1), high=np.ones(1), steepness=100.0
        )
        errors.append(np.abs(model.predict(grid)[:, 0] - np.sin(6 * grid[:, 0])).max())
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 1.7).all(), "half the width, half the error"


X2, Y2, ONE = np.ones((2, 3)), np.array([0, 1]), np.ones(1)
MODEL, NUMBERS = MLP([3, 4]), MLP([3, 4], output="regression")
REFUSED = {
    "activation": (lambda v: MLP([3, 4], activation=v), ("elu",), ValueError, "activation must be one of 'sigmoid', "),
    "output": (
        lambda v: MLP([3, 4], output=v),
        ("x",),
        ValueError,
        "output must be one of 'regression', 'labels', 'cl",
    ),
    "seed": (lambda v: MLP([3, 4], seed=v), (-1,), ValueError, "seed must be an integer >= 0, got -1"),
    "sizes": (MLP, ([3],), TypeError, "sizes must be at least two whole numbers, got [3] (list)"),
    "scale": (lambda v: MLP([3, 4], scale=v), (-1.0,), ValueError, "scale must be a number in [0, inf), got -1.0"),
    "X": (
        MODEL.forward,
        (np.ones((2, 5)),),
        ValueError,
        "X must have shape (m, n=3), got float64 array of shape (2, 5)",
    ),
    "X nan": (MODEL.predict, (X2 * np.nan,), ValueError, "X must be finite, got 6 NaN"),
    "classes": (MODEL.loss, (X2, np.array([0, 4])), ValueError, "y must hold classes 0 to 3, got 4 among them"),
    "classes float": (MODEL.gradients, (X2, ONE), TypeError, "y must be a NumPy array of whole numbers, got float64"),
    "classes list": (MODEL.gradients, (X2, [0, 1]), TypeError, "y must be a NumPy array of shape (... K), got [0, 1]"),
    "numbers": (
        NUMBERS.gradients,
        (X2, np.ones((2, 3))),
        ValueError,
        "y must have the shape of z, (2, 4), got float64",
    ),
    "lr": (lambda v: MODEL.fit(X2, Y2, lr=v), (0.0,), ValueError, "lr must be a number in (0, inf), got 0.0"),
    "epochs": (lambda v: MODEL.fit(X2, Y2, epochs=v), (0,), ValueError, "epochs must be an integer >= 1, got 0"),
    "batch": (lambda v: MODEL.fit(X2, Y2, batch_size=v), (0,), ValueError, "batch_size must be an integer >= 1, got 0"),
    "theta": (
        MODEL.set_flat,
        (np.ones(3),),
        ValueError,
        "theta must have shape (D=16), got float64 array of shape (3,)",
    ),
    "numeric": (
        numerical_gradient,
        (sum, X2),
        ValueError,
        "theta must have shape (D), got float64 array of shape (2, 3)",
    ),
    "eps": (lambda v: numerical_gradient(sum, ONE, eps=v), (0.0,), ValueError, "eps must be a number in (0, inf), got"),
    "ours": (gradient_error, (X2, ONE), ValueError, "ours must have shape (D), got float64 array of shape (2, 3)"),
    "theirs": (gradient_error, (ONE, np.ones(2)), ValueError, "theirs must have shape (D=1), got float64 array of"),
    "parity one": (parity_network, (1,), ValueError, "n must be an integer >= 2, got 1"),
    "parity six": (parity_network, (6,), ValueError, "n must be a power of two, got 6"),
}
for name, changed, message in (
    ("low", {"low": X2}, "low must have shape (n), got float64 array of shape (2, 3)"),
    ("high", {"high": np.ones(2)}, "high must have shape (n=1), got float64 array of shape (2,)"),
    ("box", {"low": ONE}, "high must be above low, got [1.] and [1.]"),
    ("towers", {"towers": 0}, "towers must be an integer >= 1, got 0"),
    ("steepness", {"steepness": 0.0}, "steepness must be a number in (0, inf), got 0.0"),
):
    arguments = {"towers": 2, "low": np.zeros(1), "high": ONE} | changed
    REFUSED[name] = (lambda a: tower_network(sum, **a), (arguments,), ValueError, message)


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
