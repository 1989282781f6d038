"""What the tests of the part share: comparison with gradients, and torchvision's own models beside ours."""

import pytest
import torch
from torch import nn


@pytest.fixture
def same(close):
    """Same values and same gradients as torch's own; float64 to 1e-10, float32 to 1e-5 of the largest number."""

    def compare(ours, theirs, inputs):
        g = torch.randn_like(theirs)
        pairs = [(ours, theirs)]
        pairs += zip(torch.autograd.grad(ours, inputs, g), torch.autograd.grad(theirs, inputs, g), strict=True)
        for a, b in pairs:
            if ours.dtype == torch.float32:
                close(a, b, rtol=1e-5, atol=1e-5 * max(1.0, b.abs().max().item()))
            else:
                close(a, b)

    return compare


@pytest.fixture(scope="session")
def torchvision_models(torchvision):
    """torchvision.models."""
    return torchvision.models


@pytest.fixture
def takes_other_images():
    """A builder with `in_channels=`, and a first layer put there by hand: the check asks the layer that is there."""

    def check(build, *size):
        with torch.device("meta"):
            model = build(in_channels=2)
            assert next(m for m in build().modules() if isinstance(m, nn.Conv2d)).in_channels == (
                1 if size[0] == 28 else 3
            )
        name, first = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
        assert first.in_channels == 2
        model.eval()
        assert model(torch.zeros(3, 2, *size, device="meta")).shape[0] == 3
        with pytest.raises(
            ValueError, match=r"^x must have shape \(B, C=2, H.*, W.*\), got torch.float32 tensor of shape"
        ):
            model(torch.zeros(3, 3, *size, device="meta"))
        settings = {"stride": first.stride, "padding": first.padding, "bias": first.bias is not None, "device": "meta"}
        model.set_submodule(name, type(first)(5, first.out_channels, first.kernel_size, **settings))
        assert model(torch.zeros(3, 5, *size, device="meta")).shape[0] == 3
        with pytest.raises(ValueError, match=r"^in_channels must be an integer >= 1, got 0"):
            build(in_channels=0)
        traced = torch.fx.symbolic_trace(model)
        assert traced(torch.zeros(2, 5, *size, device="meta")).shape[0] == 2

    return check


def settle(model, x):
    """Give batch norm the statistics of a batch, and then others: layers that shrink their input would hide errors."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(x)
        model.eval()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.running_mean += 0.3 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.rand_like(norm.running_var) + 0.5


@pytest.fixture
def twins(torchvision_models):
    """Same names, shapes and order of parameters as torchvision's model, and equal outputs given its weights."""

    def compare(make, name, size, **settings):
        theirs = getattr(torchvision_models, name)(weights=None, num_classes=7, **settings)
        settle(theirs, torch.randn(4, 3, size, size))
        with torch.device("meta"):
            ours = make(num_classes=7)
        assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
            (k, v.shape) for k, v in theirs.state_dict().items()
        ]
        ours = ours.to_empty(device="cpu").eval()
        ours.load_state_dict(theirs.state_dict(), strict=True)
        x = torch.randn(2, 3, size, size + 3)
        with torch.no_grad():
            told, expected = ours(x), theirs(x)
        apart = (expected[0] - expected[1]).abs().max().item()
        assert apart > 0.01 * expected.abs().max(), "the images make no difference, so nothing is compared"
        torch.testing.assert_close(told, expected, rtol=0, atol=1e-3 * apart)
        return ours, theirs

    return compare
