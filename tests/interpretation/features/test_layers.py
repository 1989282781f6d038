"""Mirrors dlref/interpretation/features/layers.py."""

import re
from functools import partial

import pytest
import torch
from torch import nn

from dlref.convnets import SmallResNet
from dlref.interpretation import input_gradient, integrated_gradients, layer_outputs, occlusion, smooth_grad


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 5)).eval()


def test_outputs_are_those_of_the_parts():
    model, x = net(), torch.randn(2, 3, 6, 6)
    found = layer_outputs(model, x, ["3", "0"])
    assert list(found) == ["3", "0"]
    torch.testing.assert_close(found["3"], model(x))


def test_a_layer_that_works_in_place_does_not_change_what_is_kept():
    model, x = net(), torch.randn(2, 3, 6, 6)
    found = layer_outputs(model, x, ["0", "1"])
    torch.testing.assert_close(found["0"], model[0](x))
    assert (found["0"] < 0).any()
    torch.testing.assert_close(found["1"], model[0](x).relu())


def test_what_comes_later_is_not_computed():
    model = net()
    model[2].register_forward_hook(lambda *_: pytest.fail("computed"))
    assert layer_outputs(model, torch.randn(2, 3, 6, 6), ["1"])["1"].shape == (2, 4, 4, 4)


def test_a_first_layer_that_works_in_place_leaves_the_input_alone():
    model, x = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4, 2)).eval(), torch.randn(1, 1, 2, 2)
    before = x.clone()
    layer_outputs(model, x, ["0"])
    input_gradient(model, x, 0)
    occlusion(model, x, 0, window=1, stride=1)
    assert torch.equal(x, before)


def test_a_layer_with_two_names():
    part = nn.Linear(2, 2)
    model, x = nn.Sequential(part, part), torch.randn(3, 2)
    torch.testing.assert_close(layer_outputs(model, x, ["1"])["1"], part(x))


def test_no_hook_is_left_even_after_an_error():
    model = net()
    layer_outputs(model, torch.randn(2, 3, 6, 6), ["1"])
    with pytest.raises(RuntimeError):
        layer_outputs(model, torch.randn(2, 7, 6, 6), ["1", "3"])
    with pytest.raises(ValueError, match="names of parts"):
        layer_outputs(model, torch.randn(2, 3, 6, 6), ["1", "none"])
    assert not any(module._forward_hooks for module in model.modules())


def test_gradients_flow():
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    found = layer_outputs(net(), x, ["0", "1"])
    (found["0"].sum() + found["1"].sum()).backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_the_first_output_of_a_layer_that_is_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(2, 2)

        def forward(self, x):
            return self.part(self.part(x))

    model, x = Twice(), torch.randn(3, 2)
    torch.testing.assert_close(layer_outputs(model, x, ["part"])["part"], model.part(x))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("model", "layers", "error", "message"),
    [
        (print, ["0"], TypeError, "model must be a torch.nn.Module"),
        (net(), "0", ValueError, "layers must be a list of names"),
        (net(), [], ValueError, "layers must be a list of names"),
        (net(), [""], ValueError, "layers must be names of parts of the model, such as '3', got ''"),
        (net(), ["9"], ValueError, "layers must be names of parts of the model, such as '3', got '9'"),
        (SmallResNet(1, 4), ["none"], ValueError, "layers must be names"),
    ],
)
def test_layers_are_refused(model, layers, error, message):
    with pytest.raises(error, match=re.escape(message)):
        layer_outputs(model, torch.randn(2, 3, 6, 6), layers)


def test_a_layer_that_is_not_called_is_refused():
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].unused = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=re.escape("must be called by the model, ['0.unused'] are not")):
        layer_outputs(model, torch.zeros(1, 2), ["0", "0.unused"])


def test_a_layer_without_a_tensor_is_refused():
    model = nn.Sequential(nn.LSTM(2, 2))
    with pytest.raises(TypeError, match="layer '0' must give a tensor, got"):
        layer_outputs(model, torch.zeros(1, 3, 2), ["0"])


# ------------------------------------------------------------------------------------------------ targets


def test_targets_of_every_kind():
    model, x = nn.Linear(4, 3).double().eval(), torch.randn(2, 4, dtype=torch.float64)
    torch.testing.assert_close(input_gradient(model, x, 1), model.weight[1].expand(2, 4))
    torch.testing.assert_close(input_gradient(model, x, torch.tensor([2, 0])), model.weight[[2, 0]])
    torch.testing.assert_close(input_gradient(model, x, (1,)), model.weight[1].expand(2, 4))
    maps = nn.Conv2d(1, 2, 1).eval()
    found = input_gradient(maps, torch.randn(1, 1, 3, 3), (1, 0, 2))
    assert found[0, 0, 0, 2] == maps.weight[1].item()
    assert (found != 0).sum() == 1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (3, ValueError, "target must be an integer in [0, 2], got 3"),
        (-1, ValueError, "target must be an integer in [0, 2], got -1"),
        (1.0, TypeError, "target must be an integer"),
        ((0, 1), ValueError, "target must have an index for each axis of (3,), got (0, 1)"),
        (torch.tensor([0]), ValueError, "target must hold 2 classes, got"),
        (torch.tensor([0.0, 1.0]), ValueError, "target must hold 2 classes, got"),
        (torch.tensor([True, False]), ValueError, "target must hold 2 classes, got"),
        (torch.tensor([0, 3]), ValueError, "target must be classes from 0 to 2, got 0 to 3"),
        (torch.tensor([-1, 2]), ValueError, "target must be classes from 0 to 2, got -1 to 2"),
    ],
)
def test_targets_are_refused(target, error, message):
    with pytest.raises(error, match=re.escape(message)):
        input_gradient(nn.Linear(4, 3).eval(), torch.randn(2, 4), target)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("how", [input_gradient, integrated_gradients, partial(smooth_grad, stdevs=0.1)])
def test_whole_numbers_are_refused(how):
    with pytest.raises(TypeError, match="x must hold floating-point numbers, got"):
        how(nn.Linear(4, 3).eval(), torch.zeros(1, 4, dtype=torch.long), 0)


def test_a_constant_has_no_gradient_and_what_is_detached_is_refused():
    class Constant(nn.Module):
        def __init__(self, detached):
            super().__init__()
            self.score, self.detached = nn.Parameter(torch.ones(1, 2)), detached

        def forward(self, x):
            return (0 * x).detach()[:, :2] if self.detached else self.score.expand(len(x), 2)

    assert (input_gradient(Constant(False).eval(), torch.ones(3, 4), 0) == 0).all()
    with pytest.raises(ValueError, match="model must give scores that have gradients"):
        input_gradient(Constant(True).eval(), torch.ones(3, 4), 0)


class Giving(nn.Module):
    """Hands on what it was made with."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, _):
        return self.value


@pytest.mark.usefixtures("unchecked")
def test_models_are_refused():
    with pytest.raises(TypeError, match=r"^model must be a torch\.nn\.Module, got <built-in function print> \(builtin"):
        input_gradient(print, torch.zeros(1, 4), 0)
    with pytest.raises(ValueError, match=r"^model must be in evaluation mode: call model\.eval\(\) before$"):
        input_gradient(nn.Linear(4, 3), torch.zeros(1, 4), 0)
    half = nn.Sequential(nn.Linear(4, 3), nn.Dropout()).eval()
    half[1].train()
    with pytest.raises(ValueError, match="model must be in evaluation mode"):
        input_gradient(half, torch.zeros(1, 4), 0)
    for value, got in (
        (torch.zeros(1), r"torch\.float32 tensor of shape \(1,\)"),
        (torch.zeros(3, 2), r"torch\.float32 tensor of shape \(3, 2\)"),
        ([torch.zeros(1, 2)], r"\[tensor\(\[\[0\., 0\.\]\]\)\] \(list\)"),
    ):
        with pytest.raises(ValueError, match=rf"^model must give scores of shape \(B, classes\), got {got}$"):
            input_gradient(Giving(value).eval(), torch.zeros(1, 4), 0)
    with pytest.raises(ValueError, match="target must have an index for each axis"):
        input_gradient(nn.Conv2d(1, 2, 1).eval(), torch.zeros(1, 1, 3, 3), 0)
    with pytest.raises(ValueError, match=r"target must hold 1 classes, got torch\.int64 tensor of shape \(1,\)$"):
        input_gradient(nn.Conv2d(1, 2, 1).eval(), torch.zeros(1, 1, 3, 3), torch.tensor([0]))


@pytest.mark.parametrize("how", [input_gradient, integrated_gradients, partial(smooth_grad, stdevs=0.1)])
def test_an_empty_batch_gives_an_empty_map(how):
    assert how(nn.Linear(4, 3).eval(), torch.zeros(0, 4), 0).shape == (0, 4)
