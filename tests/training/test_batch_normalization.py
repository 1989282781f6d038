"""Mirrors dlref/training/batch_normalization.py, and _normalization.py behind it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.training import BatchNorm1d, BatchNorm2d, _normalization, batch_moments, batch_normalization, normalize

DOUBLE = torch.float64
SETTINGS = {
    "default": {},
    "eps": {"eps": 0.1},
    "momentum": {"momentum": 0.3},
    "plain mean": {"momentum": None},
    "not affine": {"affine": False},
    "not tracked": {"track_running_stats": False},
    "neither": {"affine": False, "track_running_stats": False},
}
KINDS = {(6, 3): (BatchNorm1d, nn.BatchNorm1d), (4, 3, 5): (BatchNorm1d, nn.BatchNorm1d)}
KINDS |= {(4, 3, 2, 5): (BatchNorm2d, nn.BatchNorm2d), (2, 3, 1, 1): (BatchNorm2d, nn.BatchNorm2d)}


def run(layer, shape, dtype):
    """Three batches in training, then one in evaluation, each with its gradients."""
    layer = layer.to(dtype)
    generator, found = torch.Generator().manual_seed(0), []
    if layer.affine:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([0.5, -2.0, 1.5]))
            layer.bias.copy_(torch.tensor([1.0, 0.0, -3.0]))
    for step in range(4):
        layer.train(step < 3)
        x = (2 + 3 * torch.randn(shape, generator=generator, dtype=DOUBLE)).to(dtype).requires_grad_()
        y = layer(x)
        layer.zero_grad()
        (y * torch.randn(shape, generator=generator, dtype=DOUBLE).to(dtype)).sum().backward()
        found += [y.detach(), x.grad, *[p.grad.clone() for p in layer.parameters()]]
    return found, layer.state_dict()


@pytest.mark.verifies("eq-batch-norm", "eq-running-statistics")
@pytest.mark.parametrize("shape", KINDS, ids=str)
@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(DOUBLE, 1e-10), (torch.float32, 2e-5)])
def test_is_torchs_in_training_and_evaluation(shape, case, dtype, tolerance, close):
    ours, theirs = (run(kind(3, **SETTINGS[case]), shape, dtype) for kind in KINDS[shape])
    close(ours[0], theirs[0], rtol=tolerance, atol=tolerance)
    assert list(ours[1]) == list(theirs[1])
    close(ours[1], theirs[1], rtol=tolerance, atol=tolerance)


def test_state_is_exchanged_and_repr_is_torchs():
    for ours, theirs in (
        (BatchNorm1d(3), nn.BatchNorm1d(3)),
        (BatchNorm2d(3, 0.1, None), nn.BatchNorm2d(3, 0.1, None)),
    ):
        ours.load_state_dict(theirs.state_dict())
        theirs.load_state_dict(ours.state_dict())
        assert repr(ours) == repr(theirs)


@pytest.mark.verifies("eq-batch-norm-backward")
@pytest.mark.parametrize("shape", KINDS, ids=str)
def test_backward_by_numerical_gradient(shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=DOUBLE, requires_grad=True)
    weight, bias = (torch.randn(3, dtype=DOUBLE, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda *a: normalize(*a, eps=0.1), (x, weight, bias))


@pytest.mark.verifies("eq-batch-norm-backward")
def test_backward_is_the_formula(close):
    torch.manual_seed(0)
    x, y_bar = torch.randn(7, 2, dtype=DOUBLE, requires_grad=True), torch.randn(7, 2, dtype=DOUBLE)
    gamma = torch.tensor([2.0, -0.5], dtype=DOUBLE)
    (normalize(x, gamma, eps=0.3) * y_bar).sum().backward()
    z = x.detach()
    sigma = (z.var(0, correction=0) + 0.3).sqrt()
    hat = (z - z.mean(0)) / sigma
    close(x.grad, gamma / sigma * (y_bar - y_bar.mean(0) - hat * (y_bar * hat).mean(0)))


@pytest.mark.verifies("eq-normal-jacobian")
def test_jacobian_of_the_normalised_scores(close):
    torch.manual_seed(0)
    x = torch.randn(6, 1, dtype=DOUBLE)
    found = torch.autograd.functional.jacobian(lambda t: normalize(t, eps=0.2), x)[:, 0, :, 0]
    s = (x.var(correction=0) + 0.2).sqrt()
    hat = ((x - x.mean()) / s)[:, 0]
    close(found, (torch.eye(6, dtype=DOUBLE) - 1 / 6 - torch.outer(hat, hat) / 6) / s)


@pytest.mark.verifies("eq-batch-noise")
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_noise_of_a_normalised_score(value):
    """One score among 63 normal ones, many times."""
    company = torch.randn(63, 20_000, dtype=DOUBLE)
    found = normalize(torch.cat([torch.full((1, 20_000), value, dtype=DOUBLE), company]))[0]
    assert found.std().item() == pytest.approx(math.sqrt((1 + value**2 / 2) / 64), rel=0.06)


def test_gradient_of_the_input_has_no_part_along_what_is_removed(close):
    """Neither a shift of the batch nor (without eps) its size matters, so the gradient has none of them."""
    torch.manual_seed(0)
    x = torch.randn(50, 3, dtype=DOUBLE, requires_grad=True)
    (normalize(x, eps=1e-12) * torch.randn(50, 3, dtype=DOUBLE)).sum().backward()
    close(x.grad.sum(0), torch.zeros(3, dtype=DOUBLE), atol=1e-10)
    close((x.grad * x).sum(0), torch.zeros(3, dtype=DOUBLE), atol=1e-9)


@given(st.integers(2, 9), st.integers(1, 4), st.floats(-50, 50), st.floats(0.1, 20))
def test_output_is_normal(size, channels, shift, scale):
    x = shift + scale * torch.randn(size, channels, 3, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    y = normalize(x, eps=1e-9)
    torch.testing.assert_close(y.mean((0, 2)), torch.zeros(channels, dtype=DOUBLE), atol=1e-8, rtol=0)
    torch.testing.assert_close(y.var((0, 2), correction=0), torch.ones(channels, dtype=DOUBLE), atol=1e-6, rtol=0)


@pytest.mark.verifies("eq-undo")
def test_scale_and_shift_can_undo_it(close):
    x = 3 + 2 * torch.randn(20, 4, dtype=DOUBLE)
    mean, variance = batch_moments(x)
    close(normalize(x, (variance + 1e-5).sqrt(), mean), x)


@pytest.mark.parametrize("kind", ["moments", "layer"])
def test_no_cancellation_at_mean_1000(kind):
    torch.manual_seed(0)
    x = 1000 + torch.randn(400, 3, 4, 4, dtype=DOUBLE)
    expected = x.var((0, 2, 3), correction=0)
    if kind == "moments":
        found = batch_moments(x.float())[1].double()
    else:
        layer = BatchNorm2d(3, momentum=1.0)
        y = layer(x.float())
        found = layer.running_var.double()
        assert y.std().item() == pytest.approx(1, rel=1e-3)
        assert abs(y.mean().item()) < 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)


def test_moments_of_each_channel(close):
    x = torch.randn(6, 3, 2, 4, dtype=DOUBLE)
    mean, variance = batch_moments(x)
    flat = x.transpose(0, 1).reshape(3, -1).numpy()
    np.testing.assert_allclose(mean, flat.mean(1))
    np.testing.assert_allclose(variance, flat.var(1))


@pytest.mark.verifies("eq-running-statistics")
def test_running_statistics_are_moving_averages(close):
    layer = BatchNorm1d(2, momentum=0.25).double()
    mean, variance = torch.zeros(2, dtype=DOUBLE), torch.ones(2, dtype=DOUBLE)
    for _ in range(3):
        x = torch.randn(5, 2, dtype=DOUBLE)
        layer(x)
        mean, variance = 0.75 * mean + 0.25 * x.mean(0), 0.75 * variance + 0.25 * x.var(0)  # unbiased
    close(layer.running_mean, mean)
    close(layer.running_var, variance)
    assert layer.num_batches_tracked == 3
    plain = BatchNorm1d(2, momentum=None).double()
    batches = [torch.randn(5, 2, dtype=DOUBLE) for _ in range(4)]
    for x in batches:
        plain(x)
    close(plain.running_mean, torch.stack([x.mean(0) for x in batches]).mean(0))


def test_same_example_in_two_batches(close):
    torch.manual_seed(0)
    layer, x = BatchNorm1d(3), torch.randn(9, 3)
    in_training = layer(x[:5])[0], layer(x[[0, 6, 7, 8]])[0]
    assert not torch.allclose(*in_training, atol=1e-2)
    layer.eval()
    close(layer(x[:5])[0], layer(x[[0, 6, 7, 8]])[0])
    close(layer(x[:1]), layer(x)[:1])
    before = layer.running_mean.clone()
    layer(x)
    close(layer.running_mean, before)


@pytest.mark.verifies("eq-scale-invariance")
def test_scale_of_the_weights_before_it_does_not_matter(close):
    torch.manual_seed(0)
    x, W = torch.randn(30, 5, dtype=DOUBLE), torch.randn(4, 5, dtype=DOUBLE)
    target, grads = torch.randn(30, 4, dtype=DOUBLE), []
    for c in (1.0, 10.0):
        weight = (c * W).requires_grad_()
        y = normalize(x @ weight.T, eps=1e-12)
        (y - target).square().sum().backward()
        grads.append((y.detach(), weight.grad))
    close(grads[0][0], grads[1][0], atol=1e-9)
    close(grads[0][1], 10 * grads[1][1], atol=1e-8)


def test_bias_before_it_gets_no_gradient(close):
    torch.manual_seed(0)
    dense, norm = nn.Linear(3, 4).double(), BatchNorm1d(4).double()
    (norm(dense(torch.randn(8, 3, dtype=DOUBLE))) * torch.randn(8, 4, dtype=DOUBLE)).sum().backward()
    close(dense.bias.grad, torch.zeros(4, dtype=DOUBLE), atol=1e-12)


def test_functional_without_weight_is_torchs(close):
    x = torch.randn(6, 2, 3, dtype=DOUBLE)
    close(normalize(x), F.batch_norm(x, None, None, training=True))
    close(normalize(x, bias=torch.ones(2, dtype=DOUBLE)), normalize(x) + 1)


X = torch.ones(4, 3)
REFUSED = {
    "moments": (batch_moments, (torch.ones(3),), ValueError, "x must have shape (B, C, ...), got torch.float32 tensor"),
    "list": (normalize, ([1.0],), TypeError, "x must be a torch.Tensor of shape (...), got [1.0] (list)"),
    "whole": (normalize, (torch.ones(4, 3, dtype=torch.int64),), TypeError, "x must hold floating-point numbers, got"),
    "one value": (normalize, (torch.ones(1, 3),), ValueError, "x must have more than one value a channel in training"),
    "weight": (normalize, (X, torch.ones(2)), ValueError, "weight must have shape (C=3), got torch.float32 tensor of"),
    "bias": (normalize, (X, None, torch.ones(2)), ValueError, "bias must have shape (C=3), got torch.float32 tensor o"),
    "eps": (lambda: normalize(X, eps=-0.5), (), ValueError, "eps must be a number in [0, inf), got -0.5"),
    "features": (BatchNorm1d, (0,), ValueError, "num_features must be an integer >= 1, got 0"),
    "layer eps": (BatchNorm1d, (3, -1.0), ValueError, "eps must be a number in [0, inf), got -1.0"),
    "momentum": (BatchNorm2d, (3, 1e-5, 1.5), ValueError, "momentum must be a number in [0, 1], got 1.5"),
    "channels": (BatchNorm1d(2), (X,), ValueError, "x must have 2 or 3 axes and 2 channels, got torch.float32 tensor"),
    "axes": (BatchNorm1d(3), (torch.ones(4, 3, 2, 2),), ValueError, "x must have 2 or 3 axes and 3 channels, got torc"),
    "pictures": (BatchNorm2d(3), (X,), ValueError, "x must have 4 axes and 3 channels, got torch.float32 tensor of sh"),
    "one example": (BatchNorm1d(3), (X[:1],), ValueError, "x must have more than one value a channel in training, got"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


def test_zero_momentum_and_infinity(close):
    layer = BatchNorm1d(1, momentum=0.0)
    layer(torch.tensor([[1.0], [5.0]]))
    close(layer.running_mean, torch.zeros(1))
    assert layer.num_batches_tracked == 1
    assert math.isfinite(layer(torch.tensor([[1.0], [1.0]])).sum().item())


@pytest.mark.parametrize("track", [True, False])
def test_running_statistics_are_forgotten(track):
    layer, theirs = BatchNorm1d(3, track_running_stats=track), nn.BatchNorm1d(3, track_running_stats=track)
    with torch.no_grad():
        layer.weight.fill_(2)
    fresh = {name: value.clone() for name, value in layer.state_dict().items()}
    layer(5 + torch.randn(8, 3))
    layer.reset_running_stats()
    theirs.reset_running_stats()
    assert list(layer.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(value, fresh[name]) for name, value in layer.state_dict().items()), "the weights stay"


@pytest.mark.verifies("eq-folded")
def test_in_evaluation_it_is_an_affine_map(close):
    layer = BatchNorm1d(3).double()
    with torch.no_grad():
        for name, value in (("weight", 2.0), ("bias", -1.0), ("running_mean", 5.0), ("running_var", 4.0)):
            getattr(layer, name).copy_(value * torch.tensor([1.0, 2.0, 3.0]))
    layer.eval()
    x = torch.randn(7, 3, dtype=DOUBLE)
    a = layer.weight / (layer.running_var + layer.eps).sqrt()
    close(layer(x), a * x + (layer.bias - a * layer.running_mean))


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, BatchNorm2d])
def test_states_that_do_not_count_batches_are_read(kind):
    """Of torch before version 2, or of another program."""
    torch.manual_seed(0)
    state = nn.BatchNorm2d(3).state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    layer = kind(3)
    layer(torch.randn(2, 3, 4, 4))
    layer.load_state_dict(state)
    assert layer.num_batches_tracked == 1
    new = nn.BatchNorm2d(3).state_dict()
    del new["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        kind(3).load_state_dict(new)
    kind(3, track_running_stats=False).load_state_dict({k: v for k, v in state.items() if "running" not in k})
    inside = nn.Sequential(kind(3))
    inside.load_state_dict({f"0.{k}": v for k, v in state.items()})


@pytest.mark.parametrize("shape", [(32, 5), (8, 5, 3), (40, 5, 64, 64), (3, 5, 2, 2)])
@pytest.mark.parametrize("affine", [True, False])
def test_the_fast_way_is_the_definition(shape, affine, close):
    """Pictures of several chunks included, and numbers far from zero."""
    x = (3 + torch.randn(shape, dtype=torch.float64)).requires_grad_()
    weight, bias = (torch.rand(5, dtype=torch.float64).requires_grad_(affine) for _ in range(2))
    moments = batch_moments(x.detach())
    found = batch_normalization._normalized(x, weight, bias, *moments, eps=1e-3)
    want = batch_normalization._definition(x, weight, bias, *moments, eps=1e-3)
    close(found, want)
    variables = [x, weight, bias] if affine else [x]
    g = torch.randn(shape, dtype=torch.float64)
    close(torch.autograd.grad(found, variables, g), torch.autograd.grad(want, variables, g), rtol=1e-9, atol=1e-9)
    if len(shape) > 2:
        close(_normalization.moments(x.detach()), moments)
    layer = BatchNorm2d(5).double() if len(shape) == 4 else BatchNorm1d(5).double()
    layer(x)
    close(layer.running_mean, 0.1 * moments[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_does_not_overflow(dtype, training):
    """The variance of N(2000, 300) is beyond the largest number of half precision."""
    x = (2000 + 300 * torch.randn(64, 3, generator=torch.Generator().manual_seed(0))).to(dtype)
    for layer in (BatchNorm1d(3), BatchNorm1d(3).to(dtype)):
        with torch.no_grad():
            layer.running_mean.fill_(2000)
            layer.running_var.fill_(60_000)
        y = layer.train(training)(x)
        assert y.dtype == dtype
        mean, var = (x.float().mean(0), x.float().var(0, correction=0)) if training else (2000, 60_000)
        torch.testing.assert_close(y.float(), (x.float() - mean) / (var + 1e-5) ** 0.5, rtol=2e-2, atol=2e-2)
    assert normalize(x).dtype == dtype


def test_weights_of_another_type_are_refused():
    with pytest.raises(TypeError, match=r"^weight must be of x's type torch.float64, got torch.float32$"):
        BatchNorm1d(3)(torch.randn(4, 3, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"^bias must be of x's type torch.float32, got torch.float64$"):
        normalize(torch.randn(4, 3), torch.ones(3), torch.ones(3, dtype=torch.float64))


def test_beginning_anew_and_places():
    layer = BatchNorm2d(3, device="meta", dtype=torch.float64)
    assert all(value.is_meta for value in layer.state_dict().values())
    assert layer.running_var.dtype == layer.weight.dtype == torch.float64
    layer = BatchNorm2d(3)
    layer(5 + torch.randn(4, 3, 2, 2))
    with torch.no_grad():
        layer.weight.fill_(2)
        layer.bias.fill_(2)
    layer.reset_parameters()
    torch.testing.assert_close(dict(layer.state_dict()), dict(BatchNorm2d(3).state_dict()))
    BatchNorm2d(3, affine=False, track_running_stats=False).reset_parameters()


def test_eps_may_be_zero(close):
    x = torch.randn(6, 2, dtype=torch.float64)
    close(normalize(x, eps=0.0), (x - x.mean(0)) / x.std(0, correction=0))


def test_statistics_may_be_frozen_afterwards_or_not_counted():
    layer = BatchNorm1d(3)
    layer.track_running_stats = False
    layer(torch.randn(8, 3) + 5)
    assert not layer.running_mean.any()
    assert layer.num_batches_tracked == 0
    layer.track_running_stats, layer.num_batches_tracked = True, None
    layer(torch.randn(8, 3) + 5)
    assert (layer.running_mean > 0.2).all()
    plain = BatchNorm1d(3, momentum=None)
    plain.num_batches_tracked = None
    plain(torch.randn(8, 3) + 5)
    assert not plain.running_mean.any()


def test_an_empty_batch_is_counted_and_changes_nothing():
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    for layer in (ours, theirs):
        assert layer(torch.empty(0, 3, 4, 4)).shape == (0, 3, 4, 4)
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
