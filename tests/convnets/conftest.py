"""What the tests of the part share: comparison with gradients, and torchvision's own models beside ours."""

import pytest
import torch


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
def torchvision_models():
    """torchvision.models; where its compiled operations do not fit this build of torch, without them."""
    try:
        import torchvision
    except RuntimeError:  # built for CUDA, torch for the CPU: the models need none of these operations
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision.models


@pytest.fixture
def twins(torchvision_models):
    """Same names, shapes and order of parameters as torchvision's model, and equal outputs given its weights."""

    def compare(make, name, size, **settings):
        theirs = getattr(torchvision_models, name)(weights=None, num_classes=7, **settings).eval()
        with torch.no_grad():
            for key, value in theirs.state_dict().items():
                if "running" in key:  # or an error in their use would not show
                    value.copy_(torch.rand_like(value) + 0.5)
        with torch.device("meta"):
            ours = make(num_classes=7)
        assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
            (k, v.shape) for k, v in theirs.state_dict().items()
        ]
        ours = ours.to_empty(device="cpu").eval()
        ours.load_state_dict(theirs.state_dict(), strict=True)
        x = torch.randn(2, 3, size, size + 3)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), theirs(x))
        return ours, theirs

    return compare
