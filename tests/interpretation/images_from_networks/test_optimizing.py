"""Mirrors dlref/interpretation/images_from_networks/optimizing.py."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from dlref.interpretation import OptimizedImage, feature_inversion, gaussian_blur, optimize_image, total_variation
from dlref.optimization import SGD, Adam


def sgd(lr: float = 0.5):
    return lambda images: torch.optim.SGD(images, lr=lr)


def lbfgs(images):
    return torch.optim.LBFGS(images, line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0)


def near(wanted):
    return lambda x: -((x - wanted) ** 2).sum((1, 2, 3))


# ------------------------------------------------------------------------------------------------ total variation, blur


def test_total_variation_is_the_mean_of_differences():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for image, found in zip(x, total_variation(x), strict=True):
        across = np.abs(np.diff(image.numpy(), axis=2)).mean()
        down = np.abs(np.diff(image.numpy(), axis=1)).mean()
        assert found.item() == pytest.approx(across + down)


def test_total_variation_of_lines_and_points():
    assert total_variation(torch.zeros(2, 1, 1, 1)).tolist() == [0, 0]
    assert total_variation(torch.tensor([[[[1.0, 3.0, 2.0]]]])).tolist() == [1.5]
    assert total_variation(torch.tensor([[[[1.0], [3.0], [2.0]]]])).tolist() == [1.5]
    assert total_variation(torch.zeros(0, 1, 2, 2)).shape == (0,)


@pytest.mark.parametrize("sigma", [0.4, 0.5, 1.0, 1.7])
def test_blur_is_scipys(sigma):
    x = torch.randn(2, 3, 12, 9, dtype=torch.float64)
    wanted = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), radius=int(3 * sigma + 0.5), mode="mirror")
    np.testing.assert_allclose(gaussian_blur(x, sigma).numpy(), wanted, rtol=1e-10, atol=1e-12)


def test_no_blur_and_too_much():
    x = torch.randn(1, 1, 4, 5)
    assert torch.equal(gaussian_blur(x, 0.0), x)
    assert gaussian_blur(x, 1.0).shape == x.shape
    with pytest.raises(ValueError, match=r"x must have more than 4 rows and columns for sigma 1.3, got \(1, 1, 4, 5\)"):
        gaussian_blur(x, 1.3)
    with pytest.raises(ValueError, match="sigma must be a number in"):
        gaussian_blur(x, -1.0)


# ------------------------------------------------------------------------------------------------ optimize_image


@pytest.mark.parametrize("make", [sgd(), lambda w: SGD(w, lr=0.5), lambda w: Adam(w, lr=0.3), lbfgs])
def test_a_bowl_is_climbed(make):
    wanted = torch.randn(2, 1, 2, 3, dtype=torch.float64)
    found = optimize_image(near(wanted), torch.zeros_like(wanted), optimizer=make, steps=300)
    assert isinstance(found, OptimizedImage)
    torch.testing.assert_close(found.image, wanted, rtol=0, atol=1e-3)
    assert len(found.values) == 300
    assert found.values[-1] > found.values[0]


@pytest.mark.verifies("eq-image-ascent")
def test_one_step_is_the_optimisers_up_the_gradient():
    start = torch.randn(2, 1, 2, 2)
    weight = torch.randn(1, 2, 2)
    found = optimize_image(lambda x: (x * weight).sum((1, 2, 3)), start, optimizer=sgd(0.1), steps=1)
    torch.testing.assert_close(found.image, start + 0.1 * weight)
    assert found.values[0] == pytest.approx((start * weight).sum((1, 2, 3)).mean().item(), abs=1e-5)


def test_what_belongs_to_the_caller_is_left_alone():
    model, start = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval(), torch.randn(1, 1, 2, 2)
    before = start.clone()
    with torch.no_grad():
        found = optimize_image(lambda x: model(x)[:, 0], start, optimizer=sgd(), steps=3)
    assert torch.equal(start, before)
    assert not start.requires_grad
    assert not found.image.requires_grad
    assert all(p.grad is None for p in model.parameters())


def test_bounds_hold_after_every_step():
    low, high = torch.tensor([-0.5, 0.1])[:, None, None], 0.3
    found = optimize_image(
        lambda x: x.sum((1, 2, 3)) * torch.tensor([1.0, -1.0]),
        torch.full((2, 2, 1, 1), 0.2),
        optimizer=sgd(9.0),
        steps=2,
        bounds=(low, high),
    )
    torch.testing.assert_close(found.image[:, :, 0, 0], torch.tensor([[0.3, 0.3], [-0.5, 0.1]]))
    assert found.values[1] == pytest.approx((0.6 + 0.4) / 2)


def test_shifts_are_taken_back():
    """A single pixel is asked about; with shifts its neighbours rise as well, in each direction."""
    start = torch.zeros(1, 1, 5, 5)
    pixel = lambda x: x[:, 0, 2, 2]  # noqa: E731
    still = optimize_image(pixel, start, optimizer=sgd(1.0), steps=50)
    assert still.image[0, 0, 2, 2] == 50
    assert still.image.sum() == 50
    generator = torch.Generator().manual_seed(0)
    moved = optimize_image(pixel, start, optimizer=sgd(1.0), steps=200, jitter=1, generator=generator).image[0, 0]
    assert moved.sum() == 200
    assert (moved[1:4, 1:4] > 8).all()
    assert moved[1:4, 1:4].sum() == 200
    again = optimize_image(pixel, start, optimizer=sgd(1.0), steps=200, jitter=1, generator=generator.manual_seed(0))
    assert torch.equal(again.image[0, 0], moved)


def test_the_blur_follows_each_step():
    start, weight = torch.randn(1, 1, 8, 8), torch.randn(8, 8)
    found = optimize_image(lambda x: (x * weight).sum((1, 2, 3)), start, optimizer=sgd(1.0), steps=2, blur=0.8)
    wanted = gaussian_blur(gaussian_blur(start + weight, 0.8) + weight, 0.8)
    torch.testing.assert_close(found.image, wanted)


def test_one_value_for_all_images():
    found = optimize_image(lambda x: x.sum(), torch.zeros(2, 1, 1, 1), optimizer=sgd(1.0), steps=3)
    assert found.image.flatten().tolist() == [3, 3]
    assert found.values == [0, 2, 4]


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="objective must stay finite, got inf in step 1"):
        optimize_image(lambda x: 1 / (1 - x).sum(), torch.zeros(1, 1, 1, 1), optimizer=sgd(1.0), steps=5)


# ------------------------------------------------------------------------------------------------ inversion


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Tanh()).double()


def test_an_image_is_found_again():
    net, wanted = network().eval(), torch.rand(2, 1, 6, 6, dtype=torch.float64)
    features = net[0](wanted)
    found = feature_inversion(net, "0", features, torch.zeros_like(wanted), optimizer=lbfgs, steps=30)
    torch.testing.assert_close(found.image, wanted, rtol=0, atol=1e-4)
    assert found.values[0] == pytest.approx(-1.0)  # zero features are as far away as the features are long
    assert found.values[-1] > -1e-8


@pytest.mark.verifies("eq-inversion")
def test_the_objective_of_an_inversion():
    net, x = network().eval(), torch.rand(1, 1, 6, 6, dtype=torch.float64)
    features = torch.randn_like(net(x))
    found = feature_inversion(net, "2", features, x, optimizer=sgd(1e-9), steps=1, tv=0.3)
    far = ((net(x) - features) ** 2).sum() / (features**2).sum()
    assert found.values[0] == pytest.approx((-far - 0.3 * total_variation(x)).item())


def test_the_mode_of_the_network_comes_back():
    net = network().train()
    features = network().eval()(torch.rand(1, 1, 6, 6, dtype=torch.float64)).detach()
    before = net[1].running_mean.clone()
    feature_inversion(net, "2", features, torch.zeros(1, 1, 6, 6, dtype=torch.float64), optimizer=sgd(), steps=2)
    assert net.training
    assert torch.equal(net[1].running_mean, before)


def test_bounds_of_an_inversion():
    net = network().eval()
    features = net(torch.rand(1, 1, 6, 6, dtype=torch.float64))
    start = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    found = feature_inversion(net, "2", features, start, optimizer=sgd(5.0), steps=3, bounds=(0.0, 0.25))
    assert found.image.min() >= 0
    assert found.image.max() == 0.25


def climb(*size, **settings):
    return optimize_image(
        torch.sum, torch.zeros(*(size or (1, 1, 2, 2))), **({"optimizer": sgd(), "steps": 1} | settings)
    )


def invert(*size, layer="2", start=(1, 1, 6, 6), value=1.0, **settings):
    features, start = torch.full(size, value, dtype=torch.float64), torch.zeros(start, dtype=torch.float64)
    return feature_inversion(network(), layer, features, start, optimizer=sgd(), steps=1, **settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: total_variation(torch.zeros(2, 2, 2)), "x must have shape (B, C, H, W), got torch.float32"),
        (lambda: gaussian_blur(torch.zeros(2, 2, 2), 1.0), "x must have shape (B, C, H, W), got torch.float32"),
        (lambda: climb(2, 2), "start must have shape (B, C, H, W), got"),
        (lambda: climb(steps=0), "steps must be an integer >= 1, got 0"),
        (lambda: climb(jitter=-1), "jitter must be an integer >= 0, got -1"),
        (lambda: climb(blur=-0.1), "blur must be a number in [0, inf), got -0.1"),
        (lambda: climb(bounds=(0.0, torch.zeros(3))),
         "bounds must be numbers or fit the shape (1, 1, 2, 2), got torch.float32 tensor of shape (3,)"),
        (lambda: climb(bounds=(1.0, 0.0)), "bounds must be (least, largest), the first not above"),
        (lambda: climb(bounds=(0.0, float("nan"))), "bounds must be (least, largest)"),
        (lambda: climb(bounds=(0.0, 1.0, 2.0)), "bounds must be (least, largest)"),
        (lambda: invert(1, 2, start=(6, 6)), "start must have shape (B, C, H, W), got"),
        (lambda: invert(1, 6, 4, 4, value=0.0), "features must not be zero throughout an image"),
        (lambda: invert(1, 6, 3, 4),
         "features must have the shape (1, 6, 4, 4) of the output of '2', got torch.float64 tensor"),
        (lambda: invert(1, 6, 4, 4, layer="9"), "layers must be names"),
        (lambda: invert(1, 6, 4, 4, tv=-1.0), "tv must be a number in [0, inf), got -1.0"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(refuses, call, message):
    refuses(call, [], ValueError, message)


def test_what_is_no_tensor_of_floats_is_refused(refuses):
    whole = torch.zeros(1, 1, 2, 2).long()
    refuses(total_variation, [whole], TypeError, "x must hold floating-point numbers, got torch.int64")
    start, settings = torch.zeros(1, 1, 6, 6), {"optimizer": sgd(), "steps": 1}
    invert_none = partial(feature_inversion, network(), "2", None, start, **settings)
    refuses(invert_none, [], TypeError, "features must be a torch.Tensor of shape (...), got None (NoneType)")


def test_no_images_and_one_pixel():
    assert total_variation(torch.zeros(0, 3, 4, 4)).shape == (0,)
    assert total_variation(torch.rand(2, 3, 1, 1)).tolist() == [0, 0]
    none = torch.zeros(0, 3, 9, 9)
    assert gaussian_blur(none, 1.0).shape == none.shape
    with pytest.raises(ValueError, match="x must have more than 3 rows and columns"):
        gaussian_blur(torch.ones(1, 1, 1, 1), 1.0)


def test_equal_bounds_and_bounds_of_another_type():
    found = optimize_image(
        lambda x: x.sum(), torch.zeros(1, 1, 2, 2, dtype=torch.float64),
        optimizer=sgd(1.0), steps=2, bounds=(torch.tensor(0.25), torch.tensor(0.25)),
    )  # fmt: skip
    assert found.image.dtype == torch.float64
    assert torch.equal(found.image, torch.full((1, 1, 2, 2), 0.25, dtype=torch.float64))
