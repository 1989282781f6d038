"""Mirrors dlref/interpretation/features/rectifiers.py. captum computes the same where its hooks find the rectifiers."""

import pytest
import torch
from captum.attr import Deconvolution, GuidedBackprop
from torch import nn

from dlref.convnets import LeNet5, SmallResNet, pretrained_lite0
from dlref.interpretation import deconvolution, guided_backpropagation, input_gradient


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
