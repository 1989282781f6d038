"""Mirrors dlref/interpretation/_rectified.py."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.interpretation import deconvolution, guided_backpropagation, input_gradient
from dlref.interpretation._rectified import Rectified, Rule
from dlref.training import ReLU, relu


class Worked(nn.Module):
    """v . relu(W x)."""

    W = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]])
    v = torch.tensor([1.0, 2.0, -1.0])

    def __init__(self, rectify):
        super().__init__()
        self.rectify = rectify

    def forward(self, x):
        return (self.rectify(x @ self.W.T) @ self.v)[:, None]


def in_place(function):
    def rectify(z):
        function(z)
        return z

    return rectify


WAYS = {
    "layer": nn.ReLU(),
    "layer in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu in place": lambda z: F.relu(z, inplace=True),
    "F.relu by name": lambda z: F.relu(input=z),
    "torch.relu": torch.relu,
    "torch.relu by name": lambda z: torch.relu(input=z),
    "torch.clamp by name": lambda z: torch.clamp(input=z, min=0),
    "F.relu in place, used after": in_place(lambda z: F.relu(z, inplace=True)),
    "F.hardtanh in place, used after": in_place(lambda z: F.hardtanh(z, 0.0, 9.0, inplace=True)),
    "torch.relu_": in_place(torch.relu_),
    "method": lambda z: z.relu(),
    "method in place": in_place(lambda z: z.relu_()),
    "F.relu6": F.relu6,
    "ReLU6": nn.ReLU6(),
    "ReLU6 in place": nn.ReLU6(inplace=True),
    "hardtanh": lambda z: F.hardtanh(z, 0.0, 9.0),
    "hardtanh by name": lambda z: F.hardtanh(z, min_val=0.0, max_val=9.0),
    "Hardtanh in place": nn.Hardtanh(0.0, 9.0, inplace=True),
    "clamp": lambda z: z.clamp(min=0),
    "clamp in place": in_place(lambda z: z.clamp_(0)),
    "torch.clamp": lambda z: torch.clamp(z, 0, 9),
    "clamp_min": lambda z: torch.clamp_min(z, 0),
    "clamp_min by name": lambda z: z.clamp_min(min=0),
    "clamp_min in place": in_place(lambda z: z.clamp_min_(0)),
    "clip": lambda z: z.clip(0),
    "torch.clip": lambda z: torch.clip(z, min=0),
    "clip in place": in_place(lambda z: z.clip_(0)),
    "torch.clamp_": in_place(lambda z: torch.clamp_(z, 0)),
    "torch.clamp_min_": in_place(lambda z: torch.clamp_min_(z, 0)),
    "threshold": lambda z: F.threshold(z, 0, 0),
    "Threshold in place": nn.Threshold(0, 0, inplace=True),
    "threshold by name": lambda z: F.threshold(z, threshold=0, value=0),
    "where": lambda z: torch.where(z > 0, z, 0.0),
    "where, turned": lambda z: torch.where(z <= 0, 0.0, z),
    "where with a tensor": lambda z: torch.where(z > 0, z, torch.zeros_like(z)),
    "maximum": lambda z: torch.maximum(z, torch.zeros(())),
    "maximum, turned": lambda z: torch.maximum(torch.zeros_like(z), z),
    "fmax": lambda z: z.fmax(torch.zeros(())),
    "dlref's": relu,
    "dlref's layer": ReLU(),
}
X = torch.tensor([[1.0, 2.0]])


@pytest.mark.verifies("eq-rectifier-rules")
@pytest.mark.parametrize("way", WAYS)
def test_the_worked_example_by_every_way_to_rectify(way):
    model = Worked(WAYS[way]).eval()
    assert input_gradient(model, X, 0).tolist() == [[2.0, 0.0]]
    assert deconvolution(model, X, 0).tolist() == [[3.0, -1.0]]
    assert guided_backpropagation(model, X, 0).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    "other",
    [
        lambda z: F.hardtanh(z, -1.0, 1.0),
        F.hardtanh,
        torch.tanh,
        lambda z: z.clamp(-1, 1),
        lambda z: z.clamp(max=1),
        lambda z: z.clamp(torch.zeros(()), None),
        lambda z: F.leaky_relu(z, 0.1),
        lambda z: torch.where(z > 0, z, 0.5),
        lambda z: torch.where(z <= 1, 0.0, z),
        lambda z: torch.where(z <= 0, -1.0, z),
        lambda z: F.threshold(z, 0, -1),
        lambda z: F.threshold(z, 0.5, 0),
        lambda z: torch.maximum(z, -torch.ones(())),
        lambda z: torch.maximum(z, 0 * z),
        lambda z: torch.where(z > 1, z, 0.0),
    ],
)
def test_what_is_no_rectifier_keeps_its_derivative(other):
    model = Worked(other).eval()
    for found in (deconvolution(model, X, 0), guided_backpropagation(model, X, 0)):
        torch.testing.assert_close(found, input_gradient(model, X, 0))


@pytest.mark.parametrize("way", WAYS)
def test_at_zero_the_input_counts_as_cut_off(way):
    """W x = (2, 0, 0): only the first unit was open; deconvolution does not ask."""
    model, corner = Worked(WAYS[way]).eval(), torch.tensor([[1.0, 1.0]])
    assert deconvolution(model, corner, 0).tolist() == [[3.0, -1.0]]
    assert guided_backpropagation(model, corner, 0).tolist() == [[1.0, 1.0]]


def test_small_inputs_are_open():
    model = Worked(F.relu6).eval()
    assert guided_backpropagation(model, 0.1 * X, 0).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    "clipped", [lambda z: z.clamp(0, 6), lambda z: F.hardtanh(z, 0.0, 6.0), lambda z: z.clamp(0, max=6)]
)
def test_other_forms_clip_as_well(clipped):
    model = Worked(clipped).eval()
    assert guided_backpropagation(model, 10 * X, 0).tolist() == [[0.0, 0.0]]
    assert deconvolution(model, 10 * X, 0).tolist() == [[3.0, -1.0]]


def test_hardtanh_clips_at_one_by_default():
    model = Worked(lambda z: F.hardtanh(z, min_val=0.0)).eval()
    assert guided_backpropagation(model, 0.5 * X, 0).tolist() == [[0.0, 0.0]]  # 1.5, -0.5, 0.5
    assert guided_backpropagation(model, 0.3 * X, 0).tolist() == [[1.0, 1.0]]  # 0.9, -0.3, 0.3


def test_where_with_one_argument_is_no_rectifier():
    def chosen(z):
        return z * (torch.where(z > 1)[0].numel() + 1)

    model = Worked(chosen).eval()
    torch.testing.assert_close(guided_backpropagation(model, X, 0), input_gradient(model, X, 0))


def test_where_it_clips_nothing_is_passed_on():
    model = Worked(F.relu6).eval()
    assert guided_backpropagation(model, 10 * X, 0).tolist() == [[0.0, 0.0]]  # 30 and 10 are above six
    assert deconvolution(model, 10 * X, 0).tolist() == [[3.0, -1.0]]
    at_the_bounds = torch.tensor([[3.0, 3.0]])  # 6, 0, 0
    assert guided_backpropagation(model, at_the_bounds, 0).tolist() == [[0.0, 0.0]]


def test_whole_numbers_are_left_alone():
    class Indexing(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(4, 2)

        def forward(self, x):
            place = torch.arange(-1, 3).clamp(min=0)
            return x @ self.table(place).T

    model = Indexing().eval()
    torch.testing.assert_close(guided_backpropagation(model, X, 0), input_gradient(model, X, 0))


def test_the_rule_has_a_gradient_of_its_own():
    """Maps may be part of a loss."""
    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double().eval()
    with Rule(guided=True):
        out = model(x)[:, 0].sum()
        (first,) = torch.autograd.grad(out, x, create_graph=True)
    assert first.requires_grad


def test_a_rectifier_gives_what_it_always_gave():
    x = torch.linspace(-2, 8, 21)
    torch.testing.assert_close(Rectified.apply(x, 6.0, True), x.clamp(0, 6))
    torch.testing.assert_close(Rectified.apply(x, float("inf"), False), x.relu())
