"""Mirrors dlref/interpretation/features/rectifiers.py. captum computes the same where its hooks find the rectifiers."""

import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn
from torch.nn import functional as F

from dlref.convnets import LeNet5, SmallResNet, pretrained_lite0
from dlref.interpretation import deconvolution, guided_backpropagation, input_gradient
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


def test_where_it_clips_nothing_is_passed_on():
    model = Worked(F.relu6).eval()
    assert guided_backpropagation(model, 10 * X, 0).tolist() == [[0.0, 0.0]]  # 30 and 10 are above six
    assert deconvolution(model, 10 * X, 0).tolist() == [[3.0, -1.0]]
    at_the_bounds = torch.tensor([[3.0, 3.0]])  # 6, 0, 0
    assert guided_backpropagation(model, at_the_bounds, 0).tolist() == [[0.0, 0.0]]


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")  # captum says what it does
@pytest.mark.parametrize("net", ["lenet with rectifiers", "resnet"])
def test_both_are_captums(net):
    torch.manual_seed(0)
    model, shape = (LeNet5(), (2, 1, 28, 28)) if net != "resnet" else (SmallResNet(1, 8), (2, 3, 20, 20))
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Tanh):
            model.set_submodule(name, nn.ReLU())
    x = torch.randn(shape)
    model.eval()
    for captums, ours in ((GuidedBackprop, guided_backpropagation), (Deconvolution, deconvolution)):
        wanted = captums(model).attribute(x.clone().requires_grad_(), target=4)
        torch.testing.assert_close(ours(model, x, 4), wanted, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(deconvolution(model, x, 4), guided_backpropagation(model, x, 4))


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


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")
@pytest.mark.checks("captum-misses")
def test_captum_finds_rectifiers_of_one_class_only():
    model, x = pretrained_lite0(), torch.randn(1, 3, 64, 64)
    captums = GuidedBackprop(model).attribute(x.clone().requires_grad_(), target=4)
    torch.testing.assert_close(captums, input_gradient(model, x, 4), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(captums, guided_backpropagation(model, x, 4), rtol=0.1)


def test_the_network_answers_as_before():
    model, x = pretrained_lite0(), torch.randn(1, 3, 64, 64)
    before = model(x)
    guided_backpropagation(model, x, 0)
    torch.testing.assert_close(model(x), before, rtol=0, atol=0)
    torch.testing.assert_close(input_gradient(model, x, 0), input_gradient(model, x, 0))
