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
    return ImportError(
        f"this needs the package {name.split('.')[0]}: pip install 'dlref[data]'"
    )


def frozen(value: T) -> T:
    """Make the arrays read-only: they are shared by all who ask for them."""
    for array in value if isinstance(value, tuple) else (value,):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return value
