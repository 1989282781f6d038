"""Mirrors dlref/neurons/outputs_and_losses.py."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, special, stats

from dlref.neurons import (
    OUTPUTS,
    Output,
    cross_entropy,
    distribution_cross_entropy,
    entropy,
    half_squared_error,
    kl_divergence,
    log_softmax,
    one_hot,
    sigmoid,
    softmax,
    softmax_jacobian,
)

PRECISION = {np.float64: 1e-12, np.float32: 2e-6}


def scores(*shape, scale=3.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def distributions(*shape, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


@pytest.mark.verifies("eq-softmax", "eq-logsumexp")
@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 5)])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_softmax_is_torchs_in_both_precisions(dtype, shape, scale, close):
    z = scores(*shape, scale=scale).astype(dtype)
    theirs = torch.log_softmax(torch.from_numpy(z), -1).numpy()
    close(log_softmax(z), theirs, rtol=PRECISION[dtype], atol=PRECISION[dtype])
    close(softmax(z), torch.softmax(torch.from_numpy(z), -1).numpy(), rtol=1e-5, atol=PRECISION[dtype])
    assert softmax(z).dtype == log_softmax(z).dtype == dtype


def test_worked_example():
    z = np.array([2.0, 1.0, 0.1])
    assert softmax(z).round(3).tolist() == [0.659, 0.242, 0.099]
    assert np.exp(z).sum() == pytest.approx(11.212, abs=1e-3)


@given(arrays(np.float64, 4, elements=st.floats(-500, 500)), st.floats(-1e3, 1e3))
def test_softmax_does_not_see_a_common_shift(z, shift):
    np.testing.assert_allclose(softmax(z + shift), softmax(z), atol=1e-10)
    assert softmax(z).sum() == pytest.approx(1)
    assert softmax(z)[z.argmax()] == softmax(z).max()


@pytest.mark.verifies("eq-temperature")
def test_temperature_divides_the_scores_and_ends_in_a_hard_max(close):
    z = scores(4, 3)
    close(softmax(z, temperature=0.7), special.softmax(z / 0.7, axis=-1))
    close(softmax(z, temperature=1e-4), one_hot(z.argmax(1), 3), atol=1e-12)
    close(softmax(z, temperature=1e9), np.full((4, 3), 1 / 3), rtol=1e-6)


@pytest.mark.verifies("eq-softmax-jacobian")
def test_jacobian_is_autograds_and_central_differences(close):
    z = scores(2, 5)
    J = softmax_jacobian(softmax(z))
    assert J.shape == (2, 5, 5)
    for i in range(2):
        theirs = torch.autograd.functional.jacobian(lambda s: torch.softmax(s, -1), torch.from_numpy(z[i]))
        close(J[i], theirs.numpy())
        for j, e in enumerate(1e-5 * np.eye(5)):
            assert np.abs((softmax(z[i] + e) - softmax(z[i] - e)) / 2e-5 - J[i, :, j]).max() < 1e-9
    close(softmax_jacobian(softmax(z[0])), J[0])


@pytest.mark.verifies("eq-cross-entropy-gradient")
@pytest.mark.parametrize("dtype", PRECISION)
def test_loss_is_torchs_and_its_gradient_is_p_minus_y(dtype, close):
    z, y = scores(6, 4).astype(dtype), np.array([0, 3, 1, 1, 2, 0])
    tensor = torch.from_numpy(z).requires_grad_()
    theirs = torch.nn.functional.cross_entropy(tensor, torch.from_numpy(y), reduction="none")
    theirs.sum().backward()
    tolerance = PRECISION[dtype]
    close(cross_entropy(z, y), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)
    close((softmax(z) - one_hot(y, 4)).astype(dtype), tensor.grad.numpy(), rtol=1e-4, atol=tolerance)
    assert cross_entropy(z, y).dtype == dtype
    for e in 1e-5 * np.eye(4):
        slope = (cross_entropy(z.astype(float) + e, y) - cross_entropy(z.astype(float) - e, y)) / 2e-5
        close(slope, (softmax(z.astype(float)) - one_hot(y, 4)) @ e / 1e-5, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", PRECISION)
def test_loss_is_finite_for_huge_scores(dtype):
    z = np.array([[1e4, 0, -1e4], [-1e4, -1e4, -1e4]], dtype=dtype)
    for k in range(3):
        ours = cross_entropy(z, np.array([k, k]))
        theirs = torch.nn.functional.cross_entropy(torch.from_numpy(z), torch.tensor([k, k]), reduction="none")
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)
    assert cross_entropy(z, np.array([0, 0]))[0] == 0
    assert not np.signbit(cross_entropy(z, np.array([0, 0]))[0])


def test_loss_takes_probabilities_and_single_examples(close):
    z, y = scores(2, 3, 4), distributions(2, 3, 4)
    flat = torch.from_numpy(z.reshape(6, 4)), torch.from_numpy(y.reshape(6, 4))
    theirs = torch.nn.functional.cross_entropy(*flat, reduction="none").numpy()
    close(cross_entropy(z, y), theirs.reshape(2, 3))
    close(cross_entropy(z[0, 0], np.array(2)), np.array(-log_softmax(z[0, 0])[2]))
    hard = one_hot(np.array([1, 0]), 4)
    close(cross_entropy(z[0, :2], hard), cross_entropy(z[0, :2], np.array([1, 0])))


@pytest.mark.verifies("eq-canonical")
@pytest.mark.parametrize("task", OUTPUTS)
def test_derivative_of_each_loss_is_output_minus_target(task, close):
    z = scores(5, 3)
    targets = {"regression": scores(5, 3, seed=1), "labels": (scores(5, 3, seed=1) > 0).astype(float)}
    y = targets.get(task, one_hot(np.array([0, 2, 1, 2, 2]), 3))
    output = OUTPUTS[task]
    assert isinstance(output, Output)
    tensor, target = torch.from_numpy(z).requires_grad_(), torch.from_numpy(y)
    theirs = {
        "regression": lambda: torch.nn.functional.mse_loss(tensor, target, reduction="none").sum(1) / 2,
        "labels": lambda: torch.nn.functional.binary_cross_entropy_with_logits(tensor, target, reduction="none").sum(1),
        "classes": lambda: torch.nn.functional.cross_entropy(tensor, target, reduction="none"),
    }[task]()
    theirs.sum().backward()
    close(output.loss(z, y), theirs.detach().numpy())
    close(output.activation(z) - y, tensor.grad.numpy())


def test_activations_are_what_their_names_say():
    z = scores(5, 3)
    assert OUTPUTS["regression"].activation(z) is z
    assert OUTPUTS["labels"].activation is sigmoid
    assert OUTPUTS["classes"].activation is softmax


def test_half_squared_error_by_hand():
    z, y = np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[0, 1], [0, 4]])
    assert half_squared_error(z, y).tolist() == [2.5, 8.0]
    assert half_squared_error(z[0], y[0]) == 2.5


def test_one_hot_is_torchs():
    y = np.array([[2, 0], [1, 1], [2, 2]])
    assert one_hot(y, 4).tolist() == torch.nn.functional.one_hot(torch.from_numpy(y), 4).tolist()
    assert one_hot(y.astype(np.uint8), 3).shape == (3, 2, 3)
    assert one_hot(np.array([0]), 1).tolist() == [[1]]


@pytest.mark.verifies("eq-information", "eq-entropy", "eq-cross-entropy", "eq-kl")
def test_measures_are_scipys(close):
    p, q = distributions(3, 2, 5), distributions(3, 2, 5, seed=1)
    close(entropy(p), stats.entropy(p, axis=-1))
    close(kl_divergence(p, q), stats.entropy(p, q, axis=-1))
    close(distribution_cross_entropy(p, q), (p * -np.log(q)).sum(-1))
    close(entropy(p) / np.log(2), stats.entropy(p, base=2, axis=-1))
    assert entropy(np.full(8, 1 / 8)) / np.log(2) == pytest.approx(3)


def test_zero_times_the_logarithm_of_zero_is_zero_and_the_impossible_is_infinite():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([1.0, 0.0, 0.0])
    assert entropy(q) == 0
    assert not np.signbit(entropy(q))
    assert entropy(p) == pytest.approx(np.log(2))
    assert kl_divergence(q, p) == pytest.approx(np.log(2))
    assert kl_divergence(p, q) == np.inf
    assert distribution_cross_entropy(p, q) == np.inf


@given(st.integers(0, 1000), st.floats(1e-6, 0.5))
def test_cross_entropy_is_least_at_the_truth(seed, step):
    p, other = distributions(2, 4, seed=seed)
    q = (1 - step) * p + step * other
    assert distribution_cross_entropy(p, q) >= entropy(p)
    assert kl_divergence(p, q) >= 0


@pytest.mark.verifies("eq-lagrange")
@pytest.mark.parametrize("total", [1.0, 0.5])
def test_multiplier_is_what_makes_the_constraint_hold(total):
    """A solver that knows no Lagrangian finds q = p / lambda, with lambda one over the sum that q must have."""
    p = distributions(5)
    found = optimize.minimize(
        lambda q: -(p * np.log(q)).sum(),
        np.full(5, total / 5),
        bounds=[(1e-6, 1)] * 5,
        constraints={"type": "eq", "fun": lambda q: q.sum() - total},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    np.testing.assert_allclose(p / found.x, 1 / total, rtol=1e-4)


SCORES = arrays(float, 4, elements=st.floats(-745, 745))


@given(SCORES, st.integers(0, 3))
@example(np.array([40.0, 0.0, -3.0, -9.0]), 0)
def test_cross_entropy_is_accurate_over_the_whole_range(z, k):
    """To a few units in the last place, also where the score is sure and right."""
    with mpmath.workdps(50):
        values = [mpmath.mpf(v) - mpmath.mpf(z[k]) for n, v in enumerate(z) if n != k]
        exact = mpmath.log1p(mpmath.fsum(map(mpmath.exp, values)))
    found = cross_entropy(z, np.array(k))
    assert abs(found - exact) <= 1e-15 * exact + 5e-324
    assert abs(log_softmax(z)[k] + exact) <= 1e-15 * exact + 5e-324


def test_cross_entropy_of_huge_scores():
    assert cross_entropy(np.array([[1e308, -1e308]]), np.array([0])).tolist() == [0]
    assert cross_entropy(np.array([[1e308, -1e308]]), np.array([1])).tolist() == [np.inf]


@given(
    arrays(float, 4, elements=st.floats(1e-3, 1)), arrays(float, 4, elements=st.floats(-1, 1)),
    st.sampled_from([1.0, 0.3, 1e-2, 1e-5, 1e-9, 1e-14]),
)  # fmt: skip
def test_divergence_is_accurate_however_near_the_two_are(p, direction, distance):
    p = p / p.sum()
    q = p * np.exp(distance * direction)
    q = q / q.sum()
    with mpmath.workdps(60):
        pairs = [(mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(p, q, strict=True)]
        exact = mpmath.fsum(a * mpmath.log(a / b) - a + b for a, b in pairs)
    assert abs(kl_divergence(p, q) - exact) <= 3e-15 * exact


def test_divergence_at_the_borders():
    far = kl_divergence(np.array([1e-300, 1.0]), np.array([1.0, 1e-300]))
    assert far == pytest.approx(300 * np.log(10))
    assert kl_divergence(np.array([0.0, 1.0]), np.array([1e-9, 1 - 1e-9])) == pytest.approx(1e-9)


def test_divergence_is_never_below_zero_by_rounding():
    p = distributions(500, 7)
    q = p * (1 + 1e-9 * scores(500, 7))
    q /= q.sum(1, keepdims=True)
    assert kl_divergence(p, q).min() >= 0
    np.testing.assert_array_equal(kl_divergence(p, p), 0)
    assert (distribution_cross_entropy(p, q) - entropy(p)).min() < 0, "it would be"


@pytest.mark.verifies("eq-nll")
def test_mean_cross_entropy_is_minus_the_log_likelihood(close):
    z, y = scores(7, 3), np.array([0, 1, 2, 2, 1, 0, 1])
    likelihood = np.prod(softmax(z)[np.arange(7), y])
    close(cross_entropy(z, y).mean(), -np.log(likelihood) / 7)


@pytest.mark.verifies("eq-gaussian")
def test_squared_error_is_minus_the_log_of_a_normal_density(close):
    z, y, s = scores(7, 1), scores(7, 1, seed=1), 0.6
    ours = half_squared_error(z, y) / s**2 + np.log(2 * np.pi * s**2) / 2
    close(ours, -stats.norm(z[:, 0], s).logpdf(y[:, 0]))


def test_probabilities_may_be_off_by_rounding_only():
    p = np.array([0.5, 0.5 + 9e-6])
    assert np.isfinite(entropy(p))
    with pytest.raises(ValueError, match=r"sums from 1\.00002 to 1\.00002"):
        entropy(np.array([0.5, 0.5 + 2e-5]))
    with pytest.raises(ValueError, match=r"got values from 0\.49 and sums from 0\.99 to 1$"):
        entropy(np.array([[0.5, 0.5], [0.49, 0.5]]))


Z2, P2, Y2 = np.ones((2, 3)), np.full((2, 3), 1 / 3), np.array([0, 1])
DIST = "must hold probabilities that sum to 1 along the last axis, got values from "
REFUSED = {
    "log_softmax list": (log_softmax, ([1.0],), TypeError, "z must be a NumPy array of shape (... K), got [1.0]"),
    "log_softmax number": (log_softmax, (np.array(1.0),), ValueError, "z must have shape (..., K), got"),
    "log_softmax inf": (log_softmax, (Z2 * np.inf,), ValueError, "z must be finite, got 6"),
    "softmax int": (softmax, (np.array([1, 2]),), TypeError, "z must hold floating-point numbers, got int64"),
    "softmax number": (softmax, (np.array(1.0),), ValueError, "z must have shape (..., K), got float64 array of shape"),
    "error number": (half_squared_error, (np.array(1.0), Z2), ValueError, "z must have shape (..., K), got float64"),
    "cube": (
        cross_entropy,
        (np.ones((2, 3, 4)), Y2),
        ValueError,
        "y must have a class for each row of z, (2, 3), got int64 array of shape (2,)",
    ),
    "jacobian": (softmax_jacobian, (Z2,), ValueError, f"p {DIST}1 and sums from 3 to 3"),
    "jacobian list": (softmax_jacobian, ([1.0],), TypeError, "p must be a NumPy array of shape (... K), got"),
    "one_hot float": (one_hot, (Z2[0], 3), TypeError, "y must be a NumPy array of whole numbers, got float64 array"),
    "one_hot list": (one_hot, ([1], 3), TypeError, "y must be a NumPy array of whole numbers, got [1] (list)"),
    "one_hot empty": (one_hot, (Y2[:0], 3), TypeError, "y must be a NumPy array of whole numbers, got int64 array of"),
    "one_hot high": (one_hot, (np.array([0, 3]), 3), ValueError, "y must hold classes 0 to 2, got 3 among them"),
    "one_hot low": (one_hot, (np.array([-1, 7]), 3), ValueError, "y must hold classes 0 to 2, got -1 among them"),
    "one_hot K": (one_hot, (Y2, 0), ValueError, "num_classes must be an integer >= 1, got 0"),
    "cross_entropy z": (cross_entropy, (Y2, Y2), TypeError, "z must hold floating-point numbers"),
    "cross_entropy rows": (
        cross_entropy,
        (Z2, np.array([0, 1, 2])),
        ValueError,
        "y must have a class for each row of z, (2,), got int64 array of shape (3,)",
    ),
    "cross_entropy class": (cross_entropy, (Z2, np.array([0, 3])), ValueError, "y must hold classes 0 to 2, got 3"),
    "cross_entropy y": (
        cross_entropy,
        (Z2, P2[:1]),
        ValueError,
        "y must have shape (2, 3), got float64 array of shape",
    ),
    "cross_entropy list": (cross_entropy, (Z2, [0, 1]), TypeError, "y must be a NumPy array of shape (... K), got"),
    "cross_entropy soft": (cross_entropy, (Z2, P2 / 2), ValueError, f"y {DIST}0.166667 and sums from 0.5 to 0.5"),
    "error z": (half_squared_error, (Y2, Y2), TypeError, "z must hold floating-point numbers"),
    "error y": (half_squared_error, (Z2, ["a"]), TypeError, "y must be a NumPy array of shape (... K), got ['a']"),
    "error shape": (half_squared_error, (Z2, Z2[:1]), ValueError, "y must have the shape of z, (2, 3), got float64"),
    "entropy": (entropy, (np.array([1.5, -0.5]),), ValueError, f"p {DIST}-0.5 and sums from 1 to 1"),
    "cross p": (distribution_cross_entropy, (Z2, P2), ValueError, f"p {DIST}1 and sums from 3 to 3"),
    "cross q": (distribution_cross_entropy, (P2, Z2), ValueError, f"q {DIST}1 and sums from 3 to 3"),
    "cross shape": (distribution_cross_entropy, (P2, P2[0]), ValueError, "q must have shape (2, 3), got float64"),
    "kl": (kl_divergence, (P2, P2[:1]), ValueError, "q must have shape (2, 3), got float64 array of shape (1, 3)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf])
def test_temperature_is_positive_and_finite(temperature):
    with pytest.raises(ValueError, match=r"^temperature must be a number in \(0, inf\), got"):
        softmax(Z2, temperature=temperature)


def test_many_classes_need_no_table():
    """Two rows of 200,000 classes: a square of them would be 298 GiB."""
    z = np.zeros((2, 200_000), np.float32)
    np.testing.assert_allclose(cross_entropy(z, np.array([3, 199_999])), np.log(200_000), rtol=1e-6)
    assert one_hot(np.array([199_999]), 200_000).sum() == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_temperature_near_zero(dtype):
    z = np.array([1.0, 2.0, 1.5], dtype)
    assert softmax(z, temperature=1e-5).tolist() == [0, 1, 0]
    assert softmax(z, temperature=1e-5).dtype == dtype
