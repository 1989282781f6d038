"""Records of long runs: what is kept belongs to its script and its data, and can be replayed."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from tools import chapters, record

NAMES = record.names()


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_there_are_records():
    assert NAMES


def test_record_is_of_its_script_and_its_data(name):
    assert record.outdated(name) == []
    assert not record.undrawn(name), "make record draws it again"


def test_first_steps_are_found_again(name):
    """To 1e-4; on a processor that rounds otherwise, to what another rounding changes here, step by step."""
    kept, first = record.load(name)["first"], record.script(name, "run").first
    again = first(record.STEPS)
    assert len(kept) == record.STEPS
    rounding = np.zeros(record.STEPS)
    if not np.allclose(again, kept, rtol=0, atol=1e-4):
        torch.backends.mkldnn.set_flags(False, None, None)
        try:
            otherwise = first(record.STEPS)
        finally:
            torch.backends.mkldnn.set_flags(True, None, None)
        rounding = np.maximum.accumulate(np.abs(np.subtract(otherwise, again)))
    assert (np.abs(np.subtract(again, kept)) <= 1e-4 + 2 * rounding).all()


def test_record_holds_what_its_page_says(name):
    numbers = record.load(name)["numbers"]
    page = record.script(name, "page")
    page.check(numbers)
    pages = [path for path in chapters.chapters() if name in record.shown(path)]
    assert pages
    said = {key for path in pages for key in re.findall(rf"\{{recorded\}}`{name} ([\w-]+)`", path.read_text())}
    assert said == set(page.words(numbers))


def test_record_is_small_and_says_where_it_comes_from(name):
    folder = chapters.ROOT / record.FOLDER / name
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) <= 300_000
    kept = record.load(name)
    assert kept["seconds"] * kept["processes"] <= 2 * 3600, "an hour on two cores"
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", kept["date"])
    assert {"torch", "numpy", "dlref"} <= set(kept["versions"])
    about = record.about(name)
    assert f"{round(kept['seconds'] / 60)} minutes on the CPU" in about
    assert f"make record NAME={name}" in about


RUN = """
import numpy as np
PROCESSES = 1
def data():
    return {"x": np.arange(3.0)}
def first(steps):
    return [1.0 / (k + 1) for k in range(steps)]
def run():
    return {"seeds": [0], "value": 2.0}
"""
PAGE = """
from matplotlib.figure import Figure
def check(numbers):
    assert numbers["value"] > 1  # check: value
def words(numbers):
    return {"value": str(numbers["value"])}
def draw(numbers):
    return {"picture": Figure()}
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A root with one record."""
    folder = tmp_path / "book" / "records" / "tiny"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(RUN)
    (folder / "page.py").write_text(PAGE)

    def script(_, file):
        space = {}
        exec((folder / f"{file}.py").read_text(), space)
        return type("script", (), {key: staticmethod(v) if callable(v) else v for key, v in space.items()})

    monkeypatch.setattr(record, "script", script)
    return tmp_path


def test_record_runs_when_its_script_or_its_data_change_and_only_then(small, capsys):
    folder = small / "book" / "records" / "tiny"
    assert record.names(small) == ["tiny"]
    assert record.outdated("tiny", small) == ["there is no record.json"]
    record.make("tiny", small)
    assert "it runs" in capsys.readouterr().out
    made = {"record.json", "picture.svg", "picture.pdf"}
    assert {path.name for path in folder.iterdir()} == {"run.py", "page.py"} | made
    before = (folder / "record.json").read_bytes(), (folder / "picture.svg").read_bytes()
    record.make("tiny", small)
    assert capsys.readouterr().out == "tiny: up to date\n"
    assert ((folder / "record.json").read_bytes(), (folder / "picture.svg").read_bytes()) == before
    assert record.words("tiny", small) == {"value": "2.0"}
    assert record.checks("tiny", small) == ["value"]

    (folder / "run.py").write_text(RUN.replace("2.0", "3.0"))
    assert record.outdated("tiny", small) == ["script"]
    record.make("tiny", small)
    assert record.words("tiny", small) == {"value": "3.0"}
    (folder / "run.py").write_text(RUN.replace("2.0", "3.0").replace("arange(3.0)", "arange(4.0)"))
    assert record.outdated("tiny", small) == ["script", "data"]


def test_picture_is_drawn_again_when_its_page_changes_but_nothing_runs(small, capsys):
    folder = small / "book" / "records" / "tiny"
    record.make("tiny", small)
    capsys.readouterr()
    (folder / "page.py").write_text(PAGE.replace("Figure()", "Figure(figsize=(2, 2))"))
    assert record.outdated("tiny", small) == []
    assert record.undrawn("tiny", small)
    old = (folder / "picture.svg").read_bytes()
    record.make("tiny", small)
    assert "it runs" not in capsys.readouterr().out
    assert (folder / "picture.svg").read_bytes() != old
    assert not record.undrawn("tiny", small)


def test_what_the_page_says_is_asserted_before_anything_is_drawn(small):
    folder = small / "book" / "records" / "tiny"
    (folder / "run.py").write_text(RUN.replace("2.0", "0.5"))
    with pytest.raises(AssertionError):
        record.make("tiny", small)
    assert not (folder / "picture.svg").exists()
    kept = json.loads((folder / "record.json").read_text())
    assert kept["numbers"]["value"] == 0.5, "the run is not lost"
    assert "drawn" not in kept
    shutil.rmtree(folder)
    assert record.names(small) == []


def test_data_are_known_by_names_types_shapes_and_values():
    x = np.arange(6.0)
    base = record.of_data({"x": x})
    assert record.of_data({"x": x.copy()}) == base
    for other in ({"y": x}, {"x": x.astype("float32")}, {"x": x.reshape(2, 3)}, {"x": x + 1}):
        assert record.of_data(other) != base
