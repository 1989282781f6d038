"""Mirrors dlref/convnets/_pooling.py; test_convolution.py uses it throughout."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from dlref.convnets._pooling import Window
from dlref.convnets.convolution import output_size

SMALL = st.integers(1, 3)


@given(st.integers(1, 9), st.integers(1, 4), SMALL, st.integers(0, 2), SMALL, st.booleans())
def test_windows_are_as_many_as_torchs(size, kernel, stride, padding, dilation, ceil):
    assume(2 * padding <= kernel)
    assume(size + 2 * padding > dilation * (kernel - 1))
    x = torch.rand(1, 1, size, 9)
    settings = {
        "kernel_size": (kernel, 2), "stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1),
    }  # fmt: skip
    theirs = F.max_pool2d(x, **settings, ceil_mode=ceil)
    found = Window.of(output_size, x, **settings, ceil=ceil)
    assert found.size == theirs.shape[2:]
    assert found[:4] == ((kernel, 2), (stride, 1), (padding, 0), (dilation, 1))


def test_a_window_that_is_rounded_up_to_may_be_larger_than_the_image():
    x = torch.zeros(1, 1, 2, 9)
    found = Window.of(output_size, x, (3, 1), (2, 1), 0, 1, True)
    assert found.size == F.max_pool2d(x, (3, 1), (2, 1), ceil_mode=True).shape[2:] == (1, 9)


def test_stride_is_that_of_the_kernel_by_default():
    found = Window.of(output_size, torch.zeros(1, 1, 6, 7), (2, 3), None, 0, 1, False)
    assert found == Window((2, 3), (2, 3), (0, 0), (1, 1), (3, 2))


@given(st.integers(2, 9), st.integers(1, 4), SMALL, st.integers(0, 2), st.booleans(), st.booleans())
def test_counts_are_those_of_a_mean_of_ones(size, kernel, stride, padding, ceil, padded):
    """A mean of ones, of which torch counts the padding or not, says how many count."""
    assume(2 * padding <= kernel <= size)
    x = torch.ones(1, 1, size, size + 1)
    window = Window.of(output_size, x, kernel, stride, padding, 1, ceil)
    rows, columns = window.counts(x, padded)
    inside = F.avg_pool2d(x, kernel, stride, padding, ceil, divisor_override=1)
    mean = F.avg_pool2d(x, kernel, stride, padding, ceil, count_include_pad=padded)
    torch.testing.assert_close(inside[0, 0] / (rows[:, None] * columns), mean[0, 0])


def test_counts_lie_where_the_images_lie():
    x = torch.zeros(1, 1, 6, 6, device="meta")
    window = Window.of(output_size, x, 2, 2, 1, 1, False)
    assert [count.device.type for count in window.counts(x, True)] == ["meta", "meta"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ((3, None, 2, 1), ValueError, "padding must be at most half of kernel_size (3, 3), got (2, 2)"),
        (((4, 3), None, (2, 2), 1), ValueError, "padding must be at most half of kernel_size (4, 3), got (2, 2)"),
        ((0, None, 0, 1), ValueError, "kernel_size must be an integer >= 1, got 0"),
        ((2, 0, 0, 1), ValueError, "stride must be an integer >= 1, got 0"),
        ((2, None, -1, 1), ValueError, "padding must be an integer >= 0, got -1"),
        ((2, None, 0, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (("2", None, 0, 1), TypeError, "kernel_size must be an integer >= 1, got '2' (str)"),
    ],
)
def test_settings_that_no_pooling_has_are_refused(refuses, settings, error, message):
    refuses(Window.of, (output_size, torch.zeros(1, 1, 6, 6), *settings, False), error, message)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(("size", "kernel", "dilation"), [(1, 3, 1), (3, 2, 4), (2, 9, 1)])
def test_images_smaller_than_a_window_are_refused(refuses, size, kernel, dilation, ceil):
    """However the size is rounded, and with gaps between the pixels of a window too."""
    for step in (1, 2):
        refuses(
            Window.of, (output_size, torch.zeros(1, 1, size, 9), (kernel, 1), step, 0, (dilation, 1), ceil), ValueError,
            f"kernel_size {kernel} with dilation {dilation} spans {dilation * (kernel - 1) + 1} pixels, the padded",
        )  # fmt: skip
