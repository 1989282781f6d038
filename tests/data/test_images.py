"""Mirrors dlref/data/images.py."""

import hashlib
import re

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlref.data import (
    Split,
    cifar10,
    digits,
    fashion_mnist,
    images,
    mnist_full,
    photograph,
    uci_digits,
)


def test_digits_are_split_once_and_for_all():
    split = digits()
    assert isinstance(split, Split)
    assert split.x_train.shape == (4000, 28, 28)
    assert split.x_test.shape == (1000, 28, 28)
    assert split.x_train.dtype == split.x_test.dtype == np.float32
    assert split.y_train.dtype == split.y_test.dtype == np.int64
    assert np.bincount(split.y_train).tolist() == [400] * 10
    assert np.bincount(split.y_test).tolist() == [100] * 10
    assert split.x_train.min() == 0
    assert split.x_train.max() == 1
    assert split.classes == tuple("0123456789")
    assert digits() is split
    # the numbers of every chapter rest on this order
    assert split.y_train[:12].tolist() == FIRST_LABELS
    assert (
        hashlib.sha256(np.concatenate([split.y_train, split.y_test]).astype(np.uint8).tobytes()).hexdigest()[:16]
        == LABELS_SHA256
    )


FIRST_LABELS = [4, 3, 9, 9, 0, 9, 6, 5, 7, 7, 7, 9]


LABELS_SHA256 = "d9302209d1b5ec3d"


def test_small_digits_are_means_of_the_large_ones():
    large, small = digits(classes=(3, 8)), digits(classes=(3, 8), size=14)
    assert small.x_train.shape == (800, 14, 14)
    assert small.x_test.shape == (200, 14, 14)
    assert small.x_train.dtype == np.float32
    np.testing.assert_allclose(small.x_train[5, 6, 7], large.x_train[5, 12:14, 14:16].mean(), rtol=1e-6)
    np.testing.assert_allclose(
        digits(classes=(3, 8), size=7).x_test[9, 3, 2], large.x_test[9, 12:16, 8:12].mean(), rtol=1e-6
    )
    eight = digits(classes=(3, 8), size=8)
    assert eight.x_test.shape == (200, 8, 8)
    np.testing.assert_allclose(eight.x_train[5, 0, 7], large.x_train[5, 2:5, 23:26].mean(), rtol=1e-6)
    np.testing.assert_allclose(eight.x_test[9, 3, 4], large.x_test[9, 11:14, 14:17].mean(), rtol=1e-6)
    assert small.y_train is large.y_train
    assert digits(classes=(3, 8), size=14) is small
    assert not small.x_test.flags.writeable


def test_digits_of_the_other_collection():
    split, theirs = uci_digits(), load_digits()
    np.testing.assert_array_equal(np.concatenate([split.x_train, split.x_test]), theirs.images / 16)
    np.testing.assert_array_equal(np.concatenate([split.y_train, split.y_test]), theirs.target)
    assert (len(split.x_train), len(split.x_test)) == (1000, 797)
    assert split.x_train.dtype == np.float32
    assert split.y_train.dtype == np.int64
    assert split.classes == tuple("0123456789")
    assert uci_digits() is split
    assert not split.x_train.flags.writeable


def test_no_test_image_is_a_training_image():
    split = digits()
    train = {image.tobytes() for image in split.x_train}
    assert not any(image.tobytes() in train for image in split.x_test)
    assert len(train) == 4000


def test_chosen_digits_keep_the_split_and_are_numbered_in_order():
    everything, pair = digits(), digits(classes=(8, 3))
    assert pair.classes == ("8", "3")
    keep = np.isin(everything.y_train, (3, 8))
    np.testing.assert_array_equal(pair.x_train, everything.x_train[keep])
    np.testing.assert_array_equal(pair.y_train, (everything.y_train[keep] == 3).astype(int))
    assert pair.x_test.shape == (200, 28, 28)
    assert np.bincount(pair.y_test).tolist() == [100, 100]


@pytest.mark.parametrize("name", images.PHOTOGRAPHS)
def test_photographs(name):
    image = photograph(name)
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.dtype == np.uint8
    assert image.std() > 20
    small = photograph(name, size=64)
    assert small.shape == (64, 64, 3)
    assert small.dtype == np.uint8
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = image[top : top + side, left : left + side]
    np.testing.assert_allclose(small.mean((0, 1)), square.mean((0, 1)), atol=1.5)
    middle = slice(side // 4, 3 * side // 4)
    np.testing.assert_allclose(small[16:48, 16:48].mean(), square[middle, middle].mean(), atol=4)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: digits(classes=(3, 10)), ValueError, "classes must be an integer in [0, 9], got 10"),
        (lambda: digits(classes=(-1, 3)), ValueError, "classes must be an integer in [0, 9], got -1"),
        (lambda: digits(classes=(3, 3)), ValueError, "classes must name at least two digits, each once, got (3, 3)"),
        (lambda: digits(size=15), ValueError, "size must be one of 28, 14, 8, 7, got 15 (int)"),
        (lambda: digits(classes=(3,)), ValueError, "classes must name at least two digits, each once, got (3,)"),
        (lambda: digits(classes="38"), TypeError, "classes must be a tuple of digits, got '38' (str)"),
        (lambda: digits(classes=(3.0, 8)), TypeError, "classes must be an integer in [0, 9], got 3.0 (float)"),
        (lambda: digits(classes=[3, 8]), TypeError, "classes must be a tuple of digits, got [3, 8] (list)"),
        (lambda: photograph(["coffee"]), TypeError, "name must be a string that is not empty, got ['coffee'] (list)"),
        (lambda: mnist_full(base_url=5), TypeError, "base_url must be a string that is not empty, got 5 (int)"),
        (lambda: fashion_mnist(base_url=""), TypeError, "base_url must be a string that is not empty, got '' (str)"),
        (lambda: cifar10(base_url=None), TypeError, "base_url must be a string that is not empty, got None (NoneType)"),
        (lambda: photograph("coffee", size=64.0), TypeError, "size must be an integer in [1, 300], got 64.0 (float)"),
        (lambda: photograph("lena"), ValueError, "name must be one of 'astronaut', 'chelsea', 'coffee', 'rocket', got"),
        (lambda: photograph("coffee", size=0), ValueError, "size must be an integer in [1, 300], got 0"),
        (lambda: photograph("coffee", size=301), ValueError, "size must be an integer in [1, 300], got 301"),
    ],
)
def test_bad_input_names_the_offender(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
