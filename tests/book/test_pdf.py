"""The book in print: TeX's log is clean, and everything that a book has is there."""

import re
import shutil
import subprocess
import sys

import pytest

from tools import build, chapters, notebooks

ROOT = chapters.ROOT
MISSING = [name for name in ("latexmk", "xelatex", "pdftotext") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"left out: {', '.join(MISSING)} not here (the README names the packages)"
)
PAGES = chapters.chapters()


@pytest.fixture(scope="module")
def pdf():
    command = [sys.executable, "-m", "tools.build", "--builder", "pdflatex"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-5000:]
    return ROOT / build.PDF


@pytest.fixture(scope="module")
def folder(pdf):
    return ROOT / "_build" / "pdf" / "_build" / "latex"


@pytest.fixture(scope="module")
def words(pdf):
    text = subprocess.run(["pdftotext", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\s+", " ", text)


def test_log_is_clean(folder):
    log = (folder / "book.log").read_text(encoding="utf8", errors="replace")
    assert "Output written on book.pdf" in log
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    assert max(wide, default=0) <= 5
    for trouble in ("Missing character", "undefined", "multiply defined", "Rerun to get"):
        found = [line for line in log.splitlines() if trouble in line and "rerunfilecheck" not in line]
        assert not found, trouble


def test_parts_and_chapters(words):
    assert words.startswith("Deep Learning, Checked The dlref authors")
    assert "CONTENTS I Neurons" in words
    titles = [re.search(r"^# (.*)$", page.read_text(encoding="utf8"), flags=re.MULTILINE)[1] for page in PAGES]
    numbers = ("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE", "TEN")
    for number, title in zip(numbers, titles, strict=False):
        assert f"CHAPTER {number} {title.upper()}" in words
    for part in {page.parent.name for page in PAGES}:
        assert re.search(rf"Part [IVX]+ {part.capitalize()}", words)


def test_equations_bear_the_numbers_of_the_site(folder):
    labels = dict(
        re.findall(r"\\newlabel\{equation:[^}]*:(eq-[\w-]+)\}\{\{([\d.]+)\}", (folder / "book.aux").read_text())
    )
    assert labels == notebooks.numbers(ROOT)


def test_exercises_have_their_solutions(words):
    count = sum(page.read_text(encoding="utf8").count("{exercise-start}") for page in PAGES)
    exercises = re.findall(r"(?<!to )Exercise (\d+\.\d+) \(", words)
    solutions = re.findall(r"Solution to Exercise (\d+\.\d+) \(", words)
    assert exercises == solutions
    assert len(solutions) == count > 0


def test_figures_are_vectors_and_animations_a_strip_of_four(folder):
    tex = (folder / "book.tex").read_text(encoding="utf8")
    shown = re.findall(r"\\sphinxincludegraphics(?:\[.*?\])?\{\{([\w-]+)\}(\.\w+)\}", tex)
    assert {kind for _, kind in shown} == {".pdf"}
    cells = [cell for page in chapters.executable() for cell in chapters.read(page).cells if cell.cell_type == "code"]
    figures = sum("figure" in cell.metadata.get("mystnb", {}) for cell in cells)
    animations = sum("plot.animate(" in cell.source or "plot.sliders(" in cell.source for cell in cells)
    records = sum(page.read_text(encoding="utf8").count("```{record}") for page in PAGES)
    assert len(shown) == figures + animations + records
    size = r"Page size: +([\d.]+) x ([\d.]+)"
    wide = [
        subprocess.run(["pdfinfo", str(folder / "".join(name))], capture_output=True, text=True, check=True).stdout
        for name in shown
    ]
    ratios = [float(found[1]) / float(found[2]) for found in (re.search(size, text) for text in wide)]
    assert sum(ratio > 6 for ratio in ratios) == animations


def test_folded_code_is_left_out_and_hints_are_there(words):
    tex = re.sub(r"\s", "", words)
    kept = left = 0
    for page in chapters.executable():
        for cell in chapters.read(page).cells:
            folded = "hide-input" in cell.metadata.get("tags", [])
            for line in cell.source.splitlines() if cell.cell_type == "code" else []:
                if re.match(r"def background\(figure\):", line) and folded:
                    left += 1
                kept += line.startswith("def background(figure):") and not folded
    assert left > 0
    assert tex.count("defbackground(figure):") == kept
    hints = sum(page.read_text(encoding="utf8").count("````{hint}") for page in PAGES)
    assert len(re.findall(r"\bHint\b", words)) == hints > 0


def test_index_and_bibliography(words):
    index = words[words.rindex("INDEX") :].replace("’", "'")
    for topic in chapters.topics().values():
        assert topic["name"] in index, topic["name"]
    assert "BIBLIOGRAPHY" in words
    assert words.count("[Pol64]") >= 2, "cited, and listed"
