"""Mirrors dlref/interpretation/features/attribution.py. captum computes the same."""

import re

import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Saliency
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.convnets import LeNet5, SmallResNet
from dlref.interpretation import grad_cam, input_gradient, integrated_gradients, smooth_grad


class Product(nn.Module):
    """x1 squared times x2."""

    def forward(self, x):
        return (x[:, :1] ** 2) * x[:, 1:]


class Logits(nn.Module):
    """A fixed number of inputs to classes, with maps on the way."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Identity()
        self.head = nn.Linear(8, 1, bias=False)
        self.head.weight.data = torch.tensor([[0.5] * 4 + [-0.25] * 4])

    def forward(self, x):
        return self.head(self.maps(x).flatten(1))


NETS = {
    "lenet": (LeNet5, (2, 1, 28, 28)),
    "resnet": (lambda: SmallResNet(1, 8), (2, 3, 20, 20)),
}


def network(name: str, seed: int = 0):
    build, shape = NETS[name]
    torch.manual_seed(seed)
    return build().eval(), torch.randn(shape)


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_captums(name):
    model, x = network(name)
    wanted = Saliency(model).attribute(x.clone().requires_grad_(), target=3, abs=False)
    torch.testing.assert_close(input_gradient(model, x, 3), wanted, rtol=1e-5, atol=1e-6)


def test_what_belongs_to_the_caller_is_left_alone():
    model, x = network("lenet")
    input_gradient(model, x, 0)
    assert not x.requires_grad
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        assert input_gradient(model, x, 0).abs().sum() > 0


# ------------------------------------------------------------------------------------------------ integrated gradients


@pytest.mark.verifies("eq-integrated-gradients")
def test_the_worked_example_of_integrated_gradients():
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    found = integrated_gradients(Product().eval(), x, 0, n_steps=1000)
    torch.testing.assert_close(found, torch.tensor([[4 / 3, 2 / 3]], dtype=torch.float64), rtol=1e-5, atol=0)
    ten = integrated_gradients(Product().eval(), x, 0, n_steps=10)
    assert ten.sum().item() == pytest.approx(1.995)
    assert (x * input_gradient(Product().eval(), x, 0)).sum() == 6


@pytest.mark.parametrize("name", NETS)
def test_integrated_gradients_are_captums(name):
    model, x = network(name)
    baselines = torch.randn(x.shape[1:])
    wanted = IntegratedGradients(model).attribute(
        x, baselines[None].expand_as(x), target=1, n_steps=7, method="riemann_middle"
    )
    found = integrated_gradients(model, x, 1, baselines=baselines, n_steps=7)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.verifies("eq-completeness")
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_of_a_linear_network_any_number_of_steps_is_complete(seed, n_steps):
    torch.manual_seed(seed)
    model = nn.Linear(5, 3).double().eval()
    x, b = torch.randn(2, 4, 5, dtype=torch.float64)
    found = integrated_gradients(model, x, 2, baselines=b, n_steps=n_steps).sum(1)
    torch.testing.assert_close(found, (model(x) - model(b))[:, 2], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_as_many_inputs_at_a_time_as_asked_for(size):
    seen = []
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().eval()
    x, target = torch.randn(2, 3, dtype=torch.float64), torch.tensor([1, 0])
    wanted = [integrated_gradients(model, x[k : k + 1], int(target[k]), n_steps=5) for k in (0, 1)]
    model.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    found = integrated_gradients(model, x, target, n_steps=5, internal_batch_size=size)
    torch.testing.assert_close(found, torch.cat(wanted))
    assert sum(seen) == 10
    assert max(seen) == {1: 2, 2: 2, 3: 2, 7: 6, 100: 10}[size]


def test_completeness_on_a_network():
    model, x = network("resnet")
    found = integrated_gradients(model, x, 0, n_steps=300).sum((1, 2, 3))
    with torch.no_grad():
        wanted = (model(x) - model(torch.zeros_like(x)))[:, 0]
    torch.testing.assert_close(found, wanted, rtol=0.01, atol=0.01)


def test_baselines_fit_or_are_refused():
    x = torch.randn(2, 3)
    model = nn.Linear(3, 2).eval()
    assert (integrated_gradients(model, x, 0, baselines=x) == 0).all()
    by_row = integrated_gradients(model, x, 0, baselines=x[0])
    assert (by_row[0] == 0).all()
    assert (by_row[1] != 0).any()
    with pytest.raises(ValueError, match=re.escape("baselines must be a number or fit the shape (2, 3), got")):
        integrated_gradients(model, x, 0, baselines=torch.zeros(4))
    with pytest.raises(ValueError, match="n_steps must be an integer >= 1"):
        integrated_gradients(model, x, 0, n_steps=0)
    with pytest.raises(ValueError, match="internal_batch_size must be an integer >= 1"):
        integrated_gradients(model, x, 0, internal_batch_size=0)


def test_a_baseline_that_needs_gradients_leaves_none():
    x = torch.randn(2, 3, requires_grad=True)
    found = integrated_gradients(nn.Linear(3, 2).eval(), x, 0, baselines=torch.zeros(3, requires_grad=True))
    assert not found.requires_grad


# ------------------------------------------------------------------------------------------------ SmoothGrad


def test_without_noise_it_is_the_gradient():
    model, x = network("lenet")
    torch.testing.assert_close(smooth_grad(model, x, 2, stdevs=0.0, nt_samples=3), input_gradient(model, x, 2))


@pytest.mark.verifies("eq-smooth-grad")
def test_it_is_the_mean_over_noisy_copies():
    model, x = network("lenet")
    generator = torch.Generator().manual_seed(1)
    wanted = [input_gradient(model, x + 0.3 * torch.randn(x.shape, generator=generator), 2) for _ in range(4)]
    found = smooth_grad(model, x, 2, stdevs=0.3, nt_samples=4, generator=generator.manual_seed(1))
    torch.testing.assert_close(found, torch.stack(wanted).mean(0))


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_copies_at_a_time_make_no_difference(size):
    model, x = network("lenet")
    targets, shapes = torch.arange(len(x)) % 3, []

    def noted(model, inputs, target):
        shapes.append(len(inputs))
        return input_gradient(model, inputs, target)

    def smooth(**settings):
        source = torch.Generator().manual_seed(3)
        return smooth_grad(model, x, targets, stdevs=0.2, nt_samples=7, generator=source, method=noted, **settings)

    expected = smooth(internal_batch_size=len(x))
    assert shapes == [len(x)] * 7
    shapes.clear()
    torch.testing.assert_close(smooth(internal_batch_size=size), expected)
    assert sum(shapes) == 7 * len(x)
    assert max(shapes) == (len(x) if size < 2 * len(x) else len(x) * min(7, size // len(x)))
    shapes.clear()
    smooth()
    assert max(shapes) == min(7, 32 // len(x)) * len(x)


def test_another_map_is_smoothed():
    model, x = network("lenet")
    times = lambda m, x, t: x * input_gradient(m, x, t)  # noqa: E731
    found = smooth_grad(model, x, 2, stdevs=0.0, nt_samples=2, method=times)
    torch.testing.assert_close(found, x * input_gradient(model, x, 2))


@pytest.mark.usefixtures("unchecked")
def test_settings_of_smooth_grad_are_refused():
    model, x = network("lenet")
    with pytest.raises(ValueError, match=re.escape("stdevs must be a number in [0, inf), got -1.0")):
        smooth_grad(model, x, 0, stdevs=-1)
    with pytest.raises(ValueError, match="nt_samples must be an integer >= 1, got 0"):
        smooth_grad(model, x, 0, stdevs=1.0, nt_samples=0)
    with pytest.raises(ValueError, match="internal_batch_size must be an integer >= 1, got 0"):
        smooth_grad(model, x, 0, stdevs=1.0, internal_batch_size=0)


# ------------------------------------------------------------------------------------------------ Grad-CAM


@pytest.mark.verifies("eq-grad-cam")
def test_the_worked_example_of_grad_cam():
    model = Logits().eval()
    x = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]]]])
    torch.testing.assert_close(grad_cam(model, x, 0, "maps"), torch.tensor([[[0.25, 0.0], [0.0, 0.0]]]))


@pytest.mark.parametrize(("name", "layer"), [("lenet", "features.3"), ("resnet", "0"), ("resnet", "5")])
def test_grad_cam_is_captums(name, layer):
    model, x = network(name)
    known = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    layer = layer if name == "lenet" else known[int(layer)]
    wanted = LayerGradCam(model, model.get_submodule(layer)).attribute(x, target=1, relu_attributions=True)
    torch.testing.assert_close(grad_cam(model, x, 1, layer), wanted[:, 0], rtol=1e-5, atol=1e-6)


def test_layers_of_grad_cam_are_refused():
    model, x = network("lenet")
    with pytest.raises(ValueError, match="layers must be names of parts"):
        grad_cam(model, x, 0, "none")
    with pytest.raises(ValueError, match="layer must give maps"):
        grad_cam(model, x, 0, "classifier.2")


def test_a_layer_beside_the_way_is_refused():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.aside, self.used = nn.Conv2d(1, 1, 1), nn.Linear(4, 2)

        def forward(self, x):
            self.aside(x)
            return self.used(x.flatten(1))

    with pytest.raises(ValueError, match="target must depend on the layer, not so with 'aside'"):
        grad_cam(Aside().eval(), torch.randn(1, 1, 2, 2), 0, "aside")


def test_grad_cam_of_whole_numbers_and_of_nothing():
    model, _ = network("resnet")
    layer = next(n for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    assert grad_cam(model, torch.zeros(0, 3, 20, 20), 0, layer).shape == (0, 20, 20)


@pytest.mark.usefixtures("unchecked")
def test_messages_of_attribution():
    model = nn.Linear(3, 2).eval()
    with pytest.raises(
        TypeError, match=r"^x must hold floating-point numbers, got torch\.int64 tensor of shape \(2, 3\)"
    ):
        input_gradient(model, torch.ones(2, 3, dtype=torch.long), 0)
    with pytest.raises(TypeError, match=r"^x must hold floating-point numbers"):
        integrated_gradients(model, torch.ones(2, 3, dtype=torch.long), 0)
    with pytest.raises(TypeError, match=r"^x must hold floating-point numbers"):
        smooth_grad(model, torch.ones(2, 3, dtype=torch.long), 0, stdevs=0.1)
    with pytest.raises(TypeError, match=r"^x must hold floating-point numbers"):
        grad_cam(network("lenet")[0], torch.ones(2, 1, 28, 28, dtype=torch.long), 0, "features.0")
    with pytest.raises(ValueError, match=r"^x must have shape \(B, C, H, W\), got"):
        grad_cam(network("lenet")[0], torch.ones(1, 28, 28), 0, "features.0")
    with pytest.raises(ValueError, match=r"fit the shape \(2, 3\), got torch\.float32 tensor of shape \(4,\)$"):
        integrated_gradients(model, torch.ones(2, 3), 0, baselines=torch.zeros(4))
    with pytest.raises(ValueError, match=r"got torch\.float32 tensor of shape \(2, 84\)$"):
        grad_cam(*network("lenet"), 0, "classifier.0")


def test_maps_keep_the_type():
    model, x = nn.Linear(3, 2).double().eval(), torch.rand(2, 3, dtype=torch.float64)
    for found in (integrated_gradients(model, x, 0), smooth_grad(model, x, 0, stdevs=0.1, nt_samples=2)):
        assert found.dtype == torch.float64


def test_how_many_steps_and_copies_by_default():
    counted = []
    model = nn.Linear(3, 2).eval()
    model.register_forward_hook(lambda _, inputs, __: counted.append(len(inputs[0])))
    integrated_gradients(model, torch.rand(2, 3), 0)
    assert sum(counted) == 100
    assert counted[0] == 32
    counted.clear()
    smooth_grad(model, torch.rand(2, 3), 0, stdevs=0.1)
    assert counted == [32, 32, 32, 4]


def test_half_an_x_that_needs_gradients():
    x = torch.rand(2, 3, requires_grad=True)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    for found in (
        integrated_gradients(model, x, 0),
        smooth_grad(model, x, 0, stdevs=0.1, nt_samples=2),
        input_gradient(model, x, 0),
    ):
        assert not found.requires_grad
    assert x.grad is None


def test_of_no_inputs_there_are_no_maps():
    model, nothing = nn.Linear(3, 2).eval(), torch.zeros(0, 3)
    assert input_gradient(model, nothing, 0).shape == (0, 3)
    assert integrated_gradients(model, nothing, 0).shape == (0, 3)
    assert smooth_grad(model, nothing, 0, stdevs=0.1).shape == (0, 3)


def test_a_score_that_does_not_depend_on_the_input():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return self.bias.expand(len(x), 2)

    assert input_gradient(Constant().eval(), torch.rand(2, 3), 0).tolist() == [[0.0] * 3] * 2


@pytest.mark.usefixtures("unchecked")
def test_scores_without_gradients_and_layers_without_maps_are_refused():
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x).detach()

    message = (
        "^model must give scores that have gradients: it computes them detached, in inference mode, or from nothing$"
    )
    with pytest.raises(ValueError, match=message):
        input_gradient(Detached(3, 2).eval(), torch.rand(2, 3), 0)
    model, x = network("lenet")
    model.spare = nn.Identity().eval()
    with pytest.raises(ValueError, match=r"got none$"):
        grad_cam(model, x, 0, "spare")


def test_numbers_are_taken_in_the_type_of_the_input():
    """In double precision a third is a third, and no rounding of float32 comes in."""
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    found = integrated_gradients(Product().double().eval(), x, 0, baselines=1 / 3, n_steps=7)
    middles = 1 / 3 + (x - 1 / 3) * (torch.arange(7, dtype=torch.float64)[:, None] + 0.5) / 7
    slopes = torch.stack([2 * middles[:, 0] * middles[:, 1], middles[:, 0] ** 2], 1)
    torch.testing.assert_close(found, (x - 1 / 3) * slopes.mean(0), rtol=1e-14, atol=1e-14)


def test_noise_is_drawn_in_the_type_of_the_input():
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    settings = {"stdevs": 0.5, "nt_samples": 3}
    found = smooth_grad(Product().double().eval(), x, 0, generator=torch.Generator().manual_seed(0), **settings)
    source = torch.Generator().manual_seed(0)
    noisy = [x + 0.5 * torch.randn(x.shape, generator=source, dtype=torch.float64) for _ in range(3)]
    slopes = [torch.stack([2 * z[:, 0] * z[:, 1], z[:, 0] ** 2], 1) for z in noisy]
    torch.testing.assert_close(found, torch.stack(slopes).mean(0), rtol=1e-13, atol=1e-13)
