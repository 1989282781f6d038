"""Mirrors dlref/interpretation/features/occlusion.py. captum computes the same."""

import re

import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.interpretation import occlusion


class Of(nn.Module):
    """A function of two pixels."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(*x.flatten(1).T)[:, None]


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4, dtype=torch.float64))
        .double()
        .eval()
    )


def test_the_worked_examples():
    x = torch.ones(1, 1, 1, 2)
    settings = {"window": (1, 1), "stride": 1}
    assert occlusion(Of(torch.maximum).eval(), x, 0, **settings).tolist() == [[[0.0, 0.0]]]
    assert occlusion(Of(torch.mul).eval(), x, 0, **settings).tolist() == [[[1.0, 1.0]]]
    both = occlusion(Of(torch.maximum).eval(), x, 0, window=(1, 2), stride=1)
    assert both.tolist() == [[[1.0, 1.0]]]


@pytest.mark.verifies("eq-occlusion")
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 7),
)
def test_captum_agrees(seed, size, window, stride, batch_size):
    stride = min(stride[0], window[0]), min(stride[1], window[1])
    model = net(seed)
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    model(x)
    colour = torch.randn(2, 1, 1, dtype=torch.float64)
    wanted = Occlusion(model).attribute(
        x, sliding_window_shapes=(2, *window), strides=(1, *stride), baselines=colour.expand_as(x), target=1
    )
    found = occlusion(model, x, 1, window=window, stride=stride, baselines=colour, batch_size=batch_size)
    torch.testing.assert_close(found.float(), wanted[:, 0], rtol=1e-5, atol=1e-5)  # captum's are single


def test_each_picture_has_a_target_of_its_own():
    model, x = net(), torch.randn(2, 2, 5, 6, dtype=torch.float64)
    model(x)
    found = occlusion(model, x, torch.tensor([3, 0]), window=2, stride=2)
    for k, target in enumerate((3, 0)):
        torch.testing.assert_close(found[k], occlusion(model, x[k : k + 1], target, window=2, stride=2)[0])


def test_as_many_pictures_at_a_time_as_asked_for():
    seen = []
    model, x = net(), torch.randn(1, 2, 5, 5, dtype=torch.float64)
    model(x)
    model.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    occlusion(model, x, 0, window=1, stride=1, batch_size=10)
    assert seen == [1, 10, 10, 5]


def test_no_gradient_is_kept():
    model, x = net(), torch.randn(1, 2, 5, 5, dtype=torch.float64)
    model(x)
    assert not occlusion(model, x, 0, window=2, stride=1).requires_grad


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"window": 2, "stride": 3},
            ValueError,
            "stride must be at most the window, or pixels would be left out, got (3, 3) and (2, 2)",
        ),
        ({"window": (3, 2), "stride": (2, 3)}, ValueError, "stride must be at most the window"),
        ({"window": 6, "stride": 1}, ValueError, "window must be an integer in [1, 5], got 6"),
        ({"window": (5, 6), "stride": 1}, ValueError, "window must be an integer in [1, 5], got 6"),
        ({"window": 0, "stride": 1}, ValueError, "window must be an integer in [1, 5], got 0"),
        ({"window": 2, "stride": 0}, ValueError, "stride must be an integer in [1, 5], got 0"),
        ({"window": 2.0, "stride": 1}, TypeError, "window must be an integer"),
        ({"window": (1, 1, 1), "stride": 1}, ValueError, "window must be one or two integers, got (1, 1, 1)"),
        ({"window": 1, "stride": 1, "batch_size": 0}, ValueError, "batch_size must be an integer >= 1, got 0"),
        ({"window": 1, "stride": 1, "baselines": torch.zeros(3)}, ValueError, "baselines must be a number or fit"),
    ],
)
def test_settings_are_refused(settings, error, message):
    model, x = net(), torch.randn(1, 2, 5, 5, dtype=torch.float64)
    model(x)
    with pytest.raises(error, match=re.escape(message)):
        occlusion(model, x, 0, **settings)


@pytest.mark.usefixtures("unchecked")
def test_a_picture_without_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"^x must have shape \(B, C, H, W\), got"):
        occlusion(net(), torch.zeros(2, 5, 5, dtype=torch.float64), 0, window=1, stride=1)


def test_a_window_may_be_as_long_as_the_longer_side():
    x = torch.ones(1, 1, 5, 3)
    found = occlusion(nn.Sequential(nn.Flatten(), nn.Linear(15, 2)).eval(), x, 0, window=(5, 1), stride=(5, 1))
    assert found.shape == (1, 5, 3)
    with pytest.raises(ValueError, match=r"window must be an integer in \[1, 3\], got 4"):
        occlusion(nn.Sequential(nn.Flatten(), nn.Linear(15, 2)).eval(), x, 0, window=(5, 4), stride=1)
