"""Mirrors dlref/training/activations.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.training import ELU, LeakyReLU, PReLU, ReLU, Slopes, collapse, elu, leaky_relu, relu, slopes

DOUBLE = torch.float64
PAIRS = {
    "relu": (relu, F.relu),
    "leaky": (leaky_relu, F.leaky_relu),
    "leaky 0.1": (lambda x: leaky_relu(x, 0.1), lambda x: F.leaky_relu(x, 0.1)),
    "elu": (elu, F.elu),
    "elu 0.7": (lambda x: elu(x, 0.7), lambda x: F.elu(x, 0.7)),
    "ReLU": (ReLU(), nn.ReLU()),
    "LeakyReLU": (LeakyReLU(), nn.LeakyReLU()),
    "LeakyReLU 0.2": (LeakyReLU(0.2), nn.LeakyReLU(0.2)),
    "ELU": (ELU(), nn.ELU()),
    "ELU 1.5": (ELU(1.5), nn.ELU(1.5)),
}


@pytest.mark.verifies("eq-rectifiers", "eq-elu")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_is_torchs_forward_and_backward(pair, dtype):
    """At zero too, and far out, where an exponential overflows."""
    ends = []
    for function in PAIRS[pair]:
        x = torch.tensor([[-1000.0, -3.0, -1e-9], [0.0, 0.5, 1000.0]], dtype=dtype, requires_grad=True)
        y = function(x)
        y.sum().backward()
        ends.append((y.detach(), x.grad))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-12)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5), st.sampled_from(sorted(PAIRS)))
def test_any_scores(values, pair):
    x = torch.tensor(values, dtype=DOUBLE)
    torch.testing.assert_close(PAIRS[pair][0](x), PAIRS[pair][1](x), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "parameters"), [((4, 3), 3), ((4, 3), 1), ((2, 3, 4, 5), 3), ((2, 3, 4), 1), ((6,), 1)]
)
def test_learned_slope_is_torchs(shape, parameters, close):
    ends = []
    for kind in (PReLU, nn.PReLU):
        torch.manual_seed(0)
        layer = kind(parameters, 0.1).double()
        with torch.no_grad():
            layer.weight.add_(torch.arange(parameters))
        x = torch.randn(shape, dtype=DOUBLE, requires_grad=True)
        y = layer(x)
        (y * torch.randn(shape, dtype=DOUBLE)).sum().backward()
        ends.append((y.detach(), x.grad, layer.weight.grad))
    close(*ends)
    theirs = nn.PReLU(3)
    theirs.load_state_dict(PReLU(3).state_dict())
    close(PReLU().weight, nn.PReLU().weight)


@pytest.mark.verifies("eq-linear-collapse")
@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_collapse(bias, close):
    torch.manual_seed(0)
    layers = [nn.Linear(a, b, bias=bias, dtype=DOUBLE) for a, b in ((3, 7), (7, 1), (1, 4))]
    x = torch.randn(5, 3, dtype=DOUBLE)
    one = collapse(layers)
    close(one(x), nn.Sequential(*layers)(x))
    assert one.weight.shape == (4, 3)
    assert not one.weight.is_shared()
    close(collapse(layers[:1])(x), layers[0](x))


@pytest.mark.verifies("eq-same-sign")
def test_positive_inputs_give_the_weights_of_a_unit_one_sign():
    torch.manual_seed(0)
    x, target = torch.rand(5, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE)
    W = torch.randn(3, 5, dtype=DOUBLE, requires_grad=True)
    (torch.tanh(W @ x) - target).square().sum().backward()
    assert (W.grad.sign() == W.grad[:, :1].sign()).all()
    assert len(set(W.grad[:, 0].sign().tolist())) == 2  # of one unit, not of a layer


@pytest.mark.verifies("eq-tanh-sigmoid")
def test_tanh_is_a_stretched_sigmoid(close):
    x = torch.linspace(-5, 5, 51, dtype=DOUBLE)
    close(torch.tanh(x), 2 * torch.sigmoid(2 * x) - 1)


@pytest.mark.verifies("eq-flat-ends")
def test_slopes_of_sigmoid_and_tanh(close):
    x = torch.linspace(-5, 5, 51, dtype=DOUBLE, requires_grad=True)
    for function, slope, top in ((torch.sigmoid, lambda a: a * (1 - a), 0.25), (torch.tanh, lambda a: 1 - a**2, 1.0)):
        a = function(x)
        (found,) = torch.autograd.grad(a.sum(), x)
        close(found, slope(a.detach()))
        assert found.max().item() == pytest.approx(top)


@pytest.mark.verifies("eq-hard-sigmoid")
def test_difference_of_two_rectifiers_is_a_hard_sigmoid(close):
    x = torch.linspace(-3, 3, 61, dtype=DOUBLE)
    found = relu(x + 1) - relu(x - 1)
    close(found, (x + 1).clamp(0, 2))
    close(found / 2, F.hardsigmoid(3 * x))


def test_slopes_count_units_and_places():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.Sigmoid())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -1.0, 2.0]))
        net[2].weight.zero_()
        net[2].bias.copy_(torch.tensor([0.0, 10.0]))
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]])
    found = slopes(net, x, tolerance=1e-3)
    assert found == {"1": Slopes(pytest.approx(1 / 3), pytest.approx((2 + 4 + 0) / 12)), "3": Slopes(0.5, 0.5)}
    assert slopes(net, x)["3"] == Slopes(0.0, 0.0)
    assert not any(layer._forward_hooks for layer in net)
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    "layer", [ReLU(), nn.ReLU(), LeakyReLU(), nn.LeakyReLU(), ELU(), nn.ELU(), nn.Tanh(), PReLU(), nn.PReLU()]
)
def test_slopes_know_each_activation(layer):
    net = nn.Sequential(nn.Flatten(), layer)
    found = slopes(net, torch.full((3, 2), -1.0))["1"]
    dead = float(isinstance(layer, ReLU | nn.ReLU))
    assert found == Slopes(dead, dead)
    assert slopes(net, torch.full((3, 2), -1.0), tolerance=2.0)["1"] == Slopes(1.0, 1.0)


def test_hooks_are_taken_off_after_an_error():
    net = nn.Sequential(nn.Linear(2, 3), ReLU(), nn.Linear(4, 3))
    with pytest.raises(RuntimeError):
        slopes(net, torch.ones(1, 2))
    assert not net[1]._forward_hooks


X = torch.ones(2, 3)
REFUSED = {
    "relu": (relu, ([1.0],), TypeError, "x must be a torch.Tensor of shape (...), got [1.0] (list)"),
    "leaky": (leaky_relu, (1.0,), TypeError, "x must be a torch.Tensor of shape (...), got 1.0 (float)"),
    "slope": (leaky_relu, (X, math.nan), ValueError, "negative_slope must be a number in (-inf, inf), got nan"),
    "elu": (elu, (torch.ones(2, dtype=torch.int64),), TypeError, "x must hold floating-point numbers, got torch.int64"),
    "alpha": (elu, (X, math.inf), ValueError, "alpha must be a number in (-inf, inf), got inf"),
    "layer slope": (LeakyReLU, (math.inf,), ValueError, "negative_slope must be a number in (-inf, inf), got inf"),
    "layer alpha": (ELU, ("1",), TypeError, "alpha must be a number in (-inf, inf), got '1' (str)"),
    "parameters": (PReLU, (0,), ValueError, "num_parameters must be an integer >= 1, got 0"),
    "init": (PReLU, (1, math.nan), ValueError, "init must be a number in (-inf, inf), got nan"),
    "channels": (PReLU(2), (X,), ValueError, "x must have 2 channels at axis 1, got torch.float32 tensor of shape (2,"),
    "one axis": (PReLU(2), (X[0],), ValueError, "x must have 2 channels at axis 1, got torch.float32 tensor of shape"),
    "no layers": (collapse, ([],), ValueError, "layers must hold at least one linear layer, got none"),
    "not linear": (collapse, ([nn.Linear(1, 1), nn.ReLU()],), TypeError, "layers must be torch.nn.Linear, got ReLU() "),
    "sizes": (collapse, ([nn.Linear(1, 2), nn.Linear(3, 1)],), ValueError, "layers must fit each other, got 2 outputs"),
    "no activation": (slopes, (nn.Linear(3, 1), X), ValueError, "model must have a layer of activations, got none in "),
    "tolerance": (
        lambda: slopes(nn.ReLU(), X, tolerance=-1.0), (), ValueError, "tolerance must be a number in [0, inf), got -1.0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_elu_and_its_slope_are_accurate_over_the_whole_range(dtype):
    """Against twice the digits: the derivative of expm1 by itself is 2.6% off at -15 in float32, and 0 at -17."""
    x = torch.cat([-torch.logspace(-12, 1.9, 3000, dtype=dtype), torch.tensor([-1.0, -1.0000001, 0.5], dtype=dtype)])
    x.requires_grad_()
    y = elu(x, 1.5)
    (slope,) = torch.autograd.grad(y.sum(), x)
    wide = x.detach().numpy().astype(np.longdouble)
    eps = torch.finfo(dtype).eps
    for ours, theirs in ((y, 1.5 * np.expm1(wide)), (slope, 1.5 * np.exp(wide))):
        theirs = np.where(wide > 0, wide if ours is y else 1, theirs)
        error = np.abs(ours.detach().numpy().astype(np.longdouble) - theirs)
        assert (error <= 4 * eps * np.abs(theirs)).all()


def test_what_is_no_number_stays_none_and_is_not_dead():
    x = torch.tensor([torch.nan, -1.0, 1.0])
    for function in (relu, leaky_relu, elu):
        assert function(x).isnan().tolist() == [True, False, False]
    net = nn.Sequential(ReLU())
    assert slopes(net, x[:, None]) == {"0": (0.0, pytest.approx(1 / 3))}


@pytest.mark.parametrize("kind", [ReLU, LeakyReLU, ELU, nn.ReLU])
def test_in_place(kind, close):
    x, weight = torch.randn(5, 3, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    y, z = kind()(x @ weight), x @ weight
    assert kind(inplace=True)(z) is z
    close(z, y)
    close(torch.autograd.grad(z.sum(), weight)[0], torch.autograd.grad(y.sum(), weight)[0])
    layers = nn.Linear(3, 4), kind(), nn.Linear(4, 2)
    want = slopes(nn.Sequential(*layers), torch.randn(6, 3))
    torch.manual_seed(0)
    batch = torch.randn(6, 3)
    want = slopes(nn.Sequential(*layers), batch)
    assert slopes(nn.Sequential(layers[0], kind(inplace=True), layers[2]), batch) == want


def test_slopes_are_shown():
    assert repr(LeakyReLU(0.2, inplace=True)) == "LeakyReLU(negative_slope=0.2, inplace=True)"
    assert (repr(ReLU()), repr(ELU(2.0))) == ("ReLU()", "ELU(alpha=2.0)")
    layer = PReLU(2, 0.1)
    assert repr(layer) == "PReLU(num_parameters=2, init=0.1)"
    with torch.no_grad():
        layer.weight.fill_(3.0)
    layer.reset_parameters()
    assert layer.weight.tolist() == pytest.approx([0.1, 0.1])


def test_slope_of_an_infinite_score():
    layer = PReLU()
    layer(torch.tensor([[torch.inf, -1.0]])).sum().backward()
    assert layer.weight.grad.tolist() == [-1]
    assert layer(torch.tensor(-2.0)).shape == ()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_elu_in_half_precision_is_rounded_once(dtype):
    x = torch.linspace(-6, 6, 20_001).to(dtype)
    assert torch.equal(elu(x), elu(x.float()).to(dtype))


def test_layers_have_torchs_defaults_and_stand_where_they_are_put():
    for ours, theirs in ((LeakyReLU, nn.LeakyReLU), (ELU, nn.ELU), (PReLU, nn.PReLU), (ReLU, nn.ReLU)):
        layer, twin = ours(), theirs()
        for name in ("negative_slope", "alpha", "inplace", "init", "num_parameters"):
            assert getattr(layer, name, None) == getattr(twin, name, getattr(layer, name, None)), (ours, name)
        x = torch.tensor([-1.5, 2.0])
        kept = x.clone()
        torch.testing.assert_close(layer(x), twin(kept))
        assert torch.equal(x, kept)
    slopes = PReLU(3, device="meta", dtype=DOUBLE).weight
    assert slopes.is_meta
    assert slopes.dtype == DOUBLE
    joined = collapse([nn.Linear(2, 3, device="meta"), nn.Linear(3, 1, device="meta")])
    assert joined.weight.is_meta


def test_a_network_without_activations_is_named(refuses):
    message = "model must have a layer of activations, got none in Linear"
    refuses(slopes, (nn.Linear(2, 2), torch.ones(3, 2)), ValueError, message)
