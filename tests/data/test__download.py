"""Mirrors dlref/data/_download.py: full-size sets, from a server on this machine."""

import gzip
import hashlib
import io
import re
import struct
import sys
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pooch
import pytest

from dlref import data
from dlref.data import (
    _download,
    cifar10,
    fashion_mnist,
    mnist_full,
)


def idx(array):
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


class Server:
    """Serves a folder; `cut` names a file whose body ends halfway; `asked` lists what was fetched."""

    def __init__(self, folder):
        self.folder, self.cut, self.asked = folder, None, []
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                if self.path.strip("/") == server.cut:
                    body = (folder / server.cut).read_bytes()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                else:
                    super().do_GET()

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    running = Server(folder)
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def small_mnist(server, monkeypatch):
    """The four files in small, and their checksums in place of the published ones."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte.gz": rng.integers(0, 256, (7, 28, 28), np.uint8),
        "train-labels-idx1-ubyte.gz": rng.integers(0, 10, 7).astype(np.uint8),
        "t10k-images-idx3-ubyte.gz": rng.integers(0, 256, (3, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte.gz": rng.integers(0, 10, 3).astype(np.uint8),
    }
    checksums = {}
    for name, array in arrays.items():
        (server.folder / name).write_bytes(idx(array))
        checksums[name] = hashlib.md5((server.folder / name).read_bytes()).hexdigest()
    real = _download.fetch
    monkeypatch.setattr(_download, "fetch", lambda url, file, _, *rest: real(url, file, checksums[file], *rest))
    return list(arrays.values())


@pytest.mark.parametrize("function", [mnist_full, fashion_mnist])
def test_full_sets_are_fetched_once_and_read(function, server, small_mnist, tmp_path, monkeypatch):
    folder = str(tmp_path / "kept")
    bars, retrieve = [], pooch.retrieve
    spy = lambda *args, **kwargs: bars.append(kwargs.get("progressbar")) or retrieve(*args, **kwargs)  # noqa: E731
    monkeypatch.setattr(pooch, "retrieve", spy)
    split = function(base_url=server.url, folder=folder)
    x_train, y_train, x_test, y_test = small_mnist
    np.testing.assert_allclose(split.x_train, x_train / np.float32(255))
    np.testing.assert_allclose(split.x_test, x_test / np.float32(255))
    assert split.y_train.tolist() == y_train.tolist()
    assert split.y_test.tolist() == y_test.tolist()
    assert split.x_train.dtype == np.float32
    assert split.y_train.dtype == split.y_test.dtype == np.int64
    assert len(split.classes) == 10
    assert len(server.asked) == 4
    assert not any(bars), "nothing is printed that nobody asked for"
    again = function(base_url=server.url.rstrip("/"), folder=folder)
    assert len(server.asked) == 4, "what is there is not fetched again"
    np.testing.assert_array_equal(again.x_test, split.x_test)


def test_cifar10_is_read_from_the_binary_archive(server, monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    names = [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)] + ["cifar-10-batches-bin/test_batch.bin"]
    records = [
        np.column_stack([rng.integers(0, 10, 4), rng.integers(0, 256, (4, 3072))]).astype(np.uint8) for _ in names
    ]
    archive = server.folder / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, record in zip(names, records, strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = record.nbytes
            tar.addfile(entry, io.BytesIO(record.tobytes()))
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    real = _download.fetch
    monkeypatch.setattr(_download, "fetch", lambda url, file, _, *rest: real(url, file, md5, *rest))
    split = cifar10(base_url=server.url, folder=str(tmp_path / "kept"))
    assert split.x_train.shape == (20, 3, 32, 32)
    assert split.x_test.shape == (4, 3, 32, 32)
    assert split.y_train.tolist() == np.concatenate(records[:5])[:, 0].tolist()
    assert split.y_test.tolist() == records[5][:, 0].tolist()
    np.testing.assert_allclose(split.x_train[4, 1, 2, 3], records[1][0, 1 + 1024 + 2 * 32 + 3] / 255, rtol=1e-6)
    assert split.classes[3] == "cat"
    assert split.y_train.dtype == split.y_test.dtype == np.int64


def test_wrong_checksum_keeps_nothing(server, small_mnist, monkeypatch, tmp_path):
    monkeypatch.undo()  # the published checksums again: the small file is a wrong one
    monkeypatch.setenv("DLREF_DEVICE", "cpu")
    url = re.escape(server.url)
    with pytest.raises(
        ValueError,
        match=rf"^{url}train-images-idx3-ubyte\.gz does not have the published checksum "
        r"md5:f68b3c2dcbeaaa9fbdd348bbdeb94873; nothing was kept: ",
    ):
        mnist_full(base_url=server.url, folder=str(tmp_path / "kept"))
    assert list((tmp_path / "kept").iterdir()) == []


def test_truncated_file_keeps_nothing(server, small_mnist, tmp_path):
    server.cut = "train-labels-idx1-ubyte.gz"
    with pytest.raises(
        ConnectionError, match=rf"^could not fetch {re.escape(server.url)}train-labels-idx1-ubyte\.gz: "
    ):
        mnist_full(base_url=server.url, folder=str(tmp_path / "kept"))
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["train-images-idx3-ubyte.gz"]
    server.cut = None
    assert len(mnist_full(base_url=server.url, folder=str(tmp_path / "kept")).x_train) == 7, "and it can be had later"


def test_missing_file_and_missing_network_are_said(server, tmp_path):
    with pytest.raises(ConnectionError, match=r"^could not fetch http://127.*/cifar-10-binary\.tar\.gz: 404"):
        cifar10(base_url=server.url, folder=str(tmp_path / "kept"))
    with pytest.raises(ConnectionError, match=r"^could not fetch http://127\.0\.0\.1:9/train-images-idx3-ubyte\.gz: "):
        fashion_mnist(base_url="http://127.0.0.1:9/", folder=str(tmp_path / "kept"))
    with pytest.raises(ConnectionError, match=rf"^could not fetch {re.escape(server.url)}X/cifar-10-binary"):
        cifar10(base_url=f"{server.url}X/", folder=str(tmp_path / "kept"))
    assert list((tmp_path / "kept").iterdir()) == []


def test_default_folder_is_the_users_cache(server, small_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mnist_full(base_url=server.url)
    (found,) = (
        tmp_path.rglob("t10k-labels-idx1-ubyte.gz")
        if sys.platform == "darwin"
        else (tmp_path / "cache" / "dlref" / "mnist").glob("t10k-labels-*")
    )
    assert found.stat().st_size > 0


def test_idx_of_another_type_is_refused(server, small_mnist, monkeypatch, tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(struct.pack(">HBB", 0, 9, 1)))
    with pytest.raises(ValueError, match=r"x\.gz must hold unsigned bytes \(type 8\), got type 9$"):
        _download.read_idx(path)


PUBLISHED = {
    "mnist_full": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432 "
            "9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c"
        ),
    ),
    "fashion_mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe "
            "bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310"
        ),
    ),
    "cifar10": ("https://www.cs.toronto.edu/~kriz/", "c32a1d4ab5d03f1284b67883e8d87530"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_sets_are_asked_for_where_they_are_published(monkeypatch, name):
    """Addresses, folders and checksums, as the data sets' own pages give them."""
    asked = []

    def fetch(*args):
        asked.append(args)
        if len(asked) == len(PUBLISHED[name][1].split()):
            raise InterruptedError
        return "nowhere"

    monkeypatch.setattr(_download, "fetch", fetch)
    with pytest.raises(InterruptedError):
        getattr(data, name)(folder=f"somewhere/{name}")
    url, hashes = PUBLISHED[name]
    assert [args[2] for args in asked] == hashes.split()
    folder = {"mnist_full": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar10"}[name]
    assert all((args[0], *args[3:]) == (url, f"somewhere/{name}", folder) for args in asked)
