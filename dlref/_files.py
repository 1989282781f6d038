"""Packages that bring data, files that are downloaded once, and the format of MNIST's files."""

import gzip
import importlib
import struct
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

T = TypeVar("T")


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The format of the MNIST files: two zero bytes, the type, the number of axes, their sizes, the values."""
    with gzip.open(path) as file:
        _, kind, ndim = struct.unpack(">HBB", file.read(4))
        if kind != 8:
            raise ValueError(f"{path} must hold unsigned bytes (type 8), got type {kind}")
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def fetch(base_url: str, file: str, md5: str, folder: str | None, name: str) -> Path:
    """Download one file unless it is there; pooch moves it into place only when its checksum is right."""
    pooch, requests = package("pooch"), package("requests")
    url = base_url.rstrip("/") + "/" + file
    where = Path(folder) if folder is not None else Path(pooch.os_cache("dlref")) / name
    try:
        return Path(pooch.retrieve(url, f"md5:{md5}", fname=file, path=where, progressbar=False))
    except requests.RequestException as error:
        raise ConnectionError(f"could not fetch {url}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{url} does not have the published checksum md5:{md5}; nothing was kept: {error}") from error


def package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = name.split(".")[0]
        raise ImportError(f"this needs the package {missing}: pip install 'dlref[data]'") from error


def frozen(value: T) -> T:
    """Make the arrays read-only: they are shared by all who ask for them."""
    for array in value if isinstance(value, tuple) else (value,):
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return value
