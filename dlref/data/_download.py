"""Files that are downloaded once, and the format of MNIST's files.

Each is held to its published checksum.
"""

import gzip
import struct
import tarfile
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dlref.data._packages import package

Arrays = tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray
]  # images and labels, training and test

# MD5 of the training images, training labels, test images and test labels, as published
IDX = {
    "mnist": (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "fashion-mnist": (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
}


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The format of the MNIST files.

    Two zero bytes, the type, the number of axes, their sizes, the values.
    """
    with gzip.open(path) as file:
        _, kind, ndim = struct.unpack(">HBB", file.read(4))
        if kind != 8:
            raise ValueError(
                f"{path} must hold unsigned bytes (type 8), got type {kind}"
            )
        shape = struct.unpack(f">{ndim}I", file.read(4 * ndim))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def idx_arrays(base_url: str, folder: str | None, name: str) -> Arrays:
    """Training and test images and labels of a set in MNIST's format.

    Downloaded once.
    """
    files = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    files += [file.replace("train", "t10k") for file in files]
    paths = [
        fetch(base_url, file, md5, folder, name)
        for file, md5 in zip(files, IDX[name], strict=True)
    ]
    x_train, y_train, x_test, y_test = (read_idx(path) for path in paths)
    scale = np.float32(255)
    return x_train / scale, y_train.astype(int), x_test / scale, y_test.astype(int)


def cifar10_arrays(base_url: str, folder: str | None) -> Arrays:
    """Training images and labels, test images and labels of CIFAR-10.

    From its binary archive: no pickle is loaded.
    """
    path = fetch(
        base_url,
        "cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        folder,
        "cifar10",
    )
    with tarfile.open(path) as archive:
        files = {Path(member.name).name: member for member in archive.getmembers()}
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        records = [_records(archive, files[name]) for name in names]
    train, test = np.concatenate(records[:5]), records[5]
    images = [
        (r[:, 1:] / np.float32(255)).reshape(-1, 3, 32, 32) for r in (train, test)
    ]
    return images[0], train[:, 0].astype(int), images[1], test[:, 0].astype(int)


def _records(archive: tarfile.TarFile, member: tarfile.TarInfo) -> np.ndarray:
    file = archive.extractfile(member)
    assert file is not None  # a folder has none
    return np.frombuffer(file.read(), np.uint8).reshape(-1, 3073)


def fetch(base_url: str, file: str, md5: str, folder: str | None, name: str) -> Path:
    """Download one file unless it is there.

    Pooch moves it into place only when its checksum is right.
    """
    pooch, requests = package("pooch"), package("requests")
    url = base_url.rstrip("/") + "/" + file
    where = Path(folder) if folder is not None else Path(pooch.os_cache("dlref")) / name
    try:
        return Path(
            pooch.retrieve(url, f"md5:{md5}", fname=file, path=where, progressbar=False)
        )
    except requests.RequestException as error:
        raise ConnectionError(f"could not fetch {url}: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"{url} does not have the published checksum md5:{md5}; nothing was kept: "
            f"{error}"
        ) from error
