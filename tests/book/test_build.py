"""The build: what runs again and what does not, what fails and how, on a small book; then the real one."""

import ast
import asyncio
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
import torch
import yaml
from bs4 import BeautifulSoup
from nbclient import NotebookClient

from tools import build, chapters, execute, notebooks, page_shape, record
from tools import source as source_of

ROOT = chapters.ROOT


# ------------------------------------------------------------------------------------------------ a small book

HEAD = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n# {title}\n\n```{{code-cell}}\n{code}\n```\n"

FILES = {
    "_toc.yml": "format: jb-book\nroot: book/index\nchapters:\n  - file: book/one\n  - file: book/two\n",
    "_config.yml": "title: Small\nonly_build_toc_files: true\nexecute:\n  execute_notebooks: cache\n",
    "book/index.md": "# Small\n",
    "book/one.md": HEAD.format(title="One", code="from dlref.part import first\nprint(first())"),
    "book/two.md": HEAD.format(title="Two", code="import dlref.part.b as b\nprint(b.second())"),
    "dlref/__init__.py": "",
    "dlref/base.py": "def number():\n    return 1\n",
    "dlref/other.py": "",
    "dlref/part/__init__.py": "from dlref.part.a import *\nfrom dlref.part.b import *\n",
    "dlref/part/a.py": "from dlref.base import number\n__all__ = ['first']\ndef first():\n    return 10 * number()\n",
    "dlref/part/b.py": "__all__ = ['second']\ndef second():\n    return 2\n",
}


def write(root, **changes):
    for name, content in (FILES | changes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def small(tmp_path):
    root = tmp_path / "small book"
    write(root)
    return root


def outputs(root):
    """What each page printed, as the cache has it for Sphinx."""
    printed = {}
    with execute.outputs(root) as cache:
        for page in chapters.executable(root):
            _, notebook = cache.merge_match_into_notebook(chapters.read(page))
            printed[page.stem] = "".join(o.text for c in notebook.cells if c.cell_type == "code" for o in c.outputs)
    return printed


def test_only_what_depends_on_a_change_runs_again(small):
    assert set(execute.stale(small)) == {"book/one", "book/two"}
    assert execute.execute(small) == []
    assert outputs(small) == {"one": "10\n", "two": "2\n"}
    assert execute.stale(small) == {}

    write(small, **{"dlref/base.py": "def number():\n    return 7\n"})
    assert set(execute.stale(small)) == {"book/one"}, "used by book/one two imports down, by book/two not at all"
    assert execute.execute(small) == []
    assert outputs(small) == {"one": "70\n", "two": "2\n"}, "the cells are the same, the outputs are not the old ones"

    changed = {"dlref/base.py": "def number():\n    return 7\n", "dlref/part/b.py": FILES["dlref/part/b.py"] + "\n"}
    write(small, **changed)
    assert set(execute.stale(small)) == {"book/two"}, "book/one uses its part, but nothing of this module"
    write(small, **changed, **{"dlref/other.py": "x = 1\n"})
    assert set(execute.stale(small)) == {"book/two"}
    execute.execute(small)
    page = FILES["book/two.md"].replace("# Two", "# Two\n\nMore words.")
    write(small, **changed, **{"dlref/other.py": "x = 1\n", "book/two.md": page})
    assert execute.stale(small) == {}, "words are no cells"
    write(small, **changed, **{"dlref/other.py": "x = 1\n", "book/two.md": page.replace("second()", "second() + 1")})
    assert set(execute.stale(small)) == {"book/two"}


def test_kernels_do_not_inherit_what_would_change_outputs(small, monkeypatch):
    for name, value in (("MPLBACKEND", "agg"), ("OMP_NUM_THREADS", "7"), ("SOURCE_DATE_EPOCH", "5")):
        monkeypatch.setenv(name, value)
    names = "MPLBACKEND OMP_NUM_THREADS SOURCE_DATE_EPOCH"
    code = f"import os\nprint(*(os.environ[n] for n in '{names}'.split()))"
    write(small, **{"book/two.md": HEAD.format(title="Two", code=code)})
    assert execute.execute(small) == []
    assert outputs(small)["two"] == "module://matplotlib_inline.backend_inline 1 0\n"
    assert os.environ["MPLBACKEND"] == "agg", "and the caller's environment is as it was"


def test_other_versions_run_everything_again(small, monkeypatch):
    execute.execute(small)
    monkeypatch.setattr(chapters, "versions", lambda: "numpy==99")
    assert set(execute.stale(small)) == {"book/one", "book/two"}


def test_lost_outputs_are_made_again(small):
    execute.execute(small)
    shutil.rmtree(small / "_build" / ".jupyter_cache")
    assert set(execute.stale(small)) == {"book/one", "book/two"}


BROKEN = FILES["book/two.md"] + "\nText.\n\n```{code-cell}\nx = 1\n1 / 0\n```\n"


def test_a_page_that_raises_fails_again_and_again_and_names_the_cell(small):
    write(small, **{"book/two.md": BROKEN})
    for _ in range(2):
        (message,) = execute.execute(small)
        assert message.startswith(f"{small / 'book' / 'two.md'}:16: code cell 2 failed: ZeroDivisionError: division by")
        assert set(execute.known(small)) == {"book/one"}, "the other page's outputs are kept"
    write(small)
    assert execute.execute(small) == []


def test_what_a_page_writes_to_stderr_is_a_failure_that_says_it(small):
    code = "import sys\nprint('fine')\n```\n\n```{code-cell}\nprint('no such font', file=sys.stderr)"
    write(small, **{"book/two.md": HEAD.format(title="Two", code=code)})
    (message,) = execute.execute(small)
    assert message == f"{small / 'book' / 'two.md'}:14: code cell 2 wrote to stderr: no such font"
    assert set(execute.known(small)) == {"book/one"}


def test_pages_see_fonts_and_settings_of_the_book_alone(small, monkeypatch, tmp_path):
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\n")
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    code = "import matplotlib\nprint(matplotlib.rcParams['lines.linewidth'], matplotlib.get_cachedir())"
    write(small, **{"book/two.md": HEAD.format(title="Two", code=code)})
    assert execute.execute(small) == []
    assert outputs(small)["two"] == f"1.5 {execute.FONTS}\n"
    assert list(execute.FONTS.glob("fontlist*.json"))


def test_a_kernel_that_dies_is_a_failure_of_its_page_alone(small):
    write(small, **{"book/two.md": HEAD.format(title="Two", code="import os\nos._exit(3)")})
    (message,) = execute.execute(small)
    assert f"{small / 'book' / 'two.md'}:" in message
    assert "failed" in message
    assert set(execute.known(small)) == {"book/one"}


def test_the_command_fails_twice_and_then_succeeds_and_then_does_nothing(small):
    """What make book calls, with Sphinx behind it."""
    write(small, **{"book/two.md": BROKEN})
    command = [sys.executable, "-m", "tools.build", str(small)]
    for _ in range(2):
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 1
        assert "two.md:16: code cell 2 failed: ZeroDivisionError" in ran.stderr
        assert not (small / "_build" / "html").exists()
    write(small)
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    html = small / "_build" / "html" / "book"
    assert "10" in BeautifulSoup((html / "one.html").read_text(), "html.parser").select_one(".cell_output").text
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0
    assert ran.stdout == f"up to date: {small / '_build' / 'html' / 'index.html'}\n"


def test_a_warning_fails_the_build(small):
    write(small, **{"book/index.md": "# Small\n\n{ref}`nowhere`\n"})
    command = [sys.executable, "-m", "tools.build", str(small)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "nowhere" in ran.stdout + ran.stderr
    assert not (small / "_build" / "html.stamp").exists()


def test_pdf_without_tex_says_what_to_install_in_one_line(small, monkeypatch, capsys):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    assert build.build(small, "pdflatex") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("make pdf needs TeX: ")
    assert "texlive-xetex" in said
    assert execute.known(small) == {}, "nothing was run for it"


def test_serving_builds_again_what_has_changed(small):
    """A word that changes on a page is on the page that a browser gets, a moment later."""
    command = [sys.executable, "-m", "tools.serve", str(small)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as server:
        try:
            address = next(line for line in server.stdout if line.startswith("http://")).strip()

            def shown():
                try:
                    with urllib.request.urlopen(f"{address}/book/index.html", timeout=10) as page:
                        return page.read().decode()
                except OSError:
                    return ""

            until(lambda: "Small" in shown())
            (small / "book" / "index.md").write_text("# Small\n\nA chameleon.\n")
            until(lambda: "A chameleon." in shown())
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # its workers would outlive it


def until(happens, seconds=120):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)


def test_words_and_captions_change_without_running_anything(small):
    """The outputs are handed on: the cells are the same, their metadata are not."""
    cell = "```{code-cell}\n---\nmystnb:\n  figure:\n    caption: A.\n---\nprint(1)\n```\n"
    write(small, **{"book/two.md": HEAD.format(title="Two", code="x = 1") + cell})
    assert execute.execute(small) == []
    write(small, **{"book/two.md": HEAD.format(title="Three", code="x = 1") + cell.replace("A.", "B.")})
    assert execute.stale(small) == {}
    assert execute.execute(small) == []
    assert outputs(small)["two"] == "1\n", "Sphinx finds them under the new words"
    with execute.outputs(small) as cache:
        _, notebook = cache.merge_match_into_notebook(chapters.read(small / "book" / "two.md"))
    assert notebook.metadata["language_info"]["name"] == "python"
    tagged = cell.replace("mystnb:", "tags: [raises-exception]\nmystnb:")
    write(small, **{"book/two.md": HEAD.format(title="Three", code="x = 1") + tagged})
    assert set(execute.stale(small)) == {"book/two"}, "a tag says how a cell is run"


def test_imports_are_found_in_every_form(small):
    package = chapters.Package(small)
    for code, used in {
        "import dlref": {"dlref"},
        "import dlref.base as q": {"dlref.base"},
        "from dlref import base": {"dlref.base"},
        "from dlref.part import second, first": {"dlref.part.a", "dlref.part.b"},
        "from dlref.part import a": {"dlref.part.a"},
        "from dlref.part.b import second": {"dlref.part.b"},
        "import dlref.part": {"dlref.part", "dlref.part.a", "dlref.part.b"},
        "from dlref.part import *": {"dlref.part", "dlref.part.a", "dlref.part.b"},
        "def f():\n    from dlref.part import second": {"dlref.part.b"},
        "import numpy, dlrefx": set(),
    }.items():
        assert package.imported(code) == used, code
    assert package.closure(["dlref.part.a"]) == {"dlref.part.a", "dlref.base"}


# ------------------------------------------------------------------------------------------------ the real book


@functools.cache  # ten tests read all pages, which takes half a minute each time; together they hold 0.8 GB
def soup(path):
    return BeautifulSoup(path.read_text(encoding="utf8"), "html.parser")


def test_book_builds_without_a_warning(html):
    assert (html / "index.html").exists()
    for page in chapters.documents():
        assert (html / page.relative_to(ROOT).with_suffix(".html")).exists()


def by_id(shown):
    """Each element that can be linked to."""
    return {element["id"]: element for element in shown.find_all(id=True)}


def test_every_equation_links_to_its_tests(html):
    tests = by_id(soup(html / "book" / "reference" / "equations.html"))
    for page in chapters.documents():
        labels = chapters.equations(page)
        shown = soup(html / page.relative_to(ROOT).with_suffix(".html"))
        links = [a["href"].split("#")[1] for a in shown.select("p.eq-held a")]
        assert sorted(links) == sorted(f"held-{label}" for label in labels)
        anchors = by_id(shown)
        for label in labels:
            assert f"equation-{label}" in anchors
            entry = tests.get(f"held-{label}")
            assert entry, label
            assert entry.a["href"].endswith(f"#equation-{label}")


def test_errata_has_every_pitfall_with_a_link_that_works(html):
    errata = soup(html / "book" / "reference" / "errata.html").select(".erratum")
    count = sum(page.read_text().count("```{pitfall}") for page in chapters.documents())
    assert len(errata) == count > 0
    for entry in errata:
        link = entry.select("a")[-1]["href"]
        path, anchor = link.split("#")
        target = soup((html / "book" / "reference" / path).resolve()).find(id=anchor)
        assert target is not None
        assert "pitfall" in target["class"]
        assert re.sub("[’‘]", "'", entry.strong.text) in re.sub("[’‘]", "'", target.text)


def test_every_figure_has_alternative_text_and_a_caption(html):
    for page in chapters.executable():
        shown = soup(html / page.relative_to(ROOT).with_suffix(".html"))
        images = shown.select(".cell_output img")
        assert images
        for image in images:
            assert len(image.get("alt", "").split()) >= 4, image
            caption = image.find_parent("figure").figcaption
            assert len(caption.text.split()) >= 5
        light, dark = shown.select("img.dl-light"), shown.select("img.dl-dark")
        assert len(light) == len(dark) > 0
        for pair in zip(light, dark, strict=True):
            bright, dim = (((html / page.relative_to(ROOT)).parent / i["src"]).resolve().read_text() for i in pair)
            assert "#1f2328" not in dim
            assert bright != dim or "#1f2328" not in bright


def test_chapters_say_what_they_build_on_and_who_uses_them(html):
    before = chapters.builds_on()
    lines = {}
    for page in chapters.chapters():
        name = page.relative_to(ROOT).with_suffix("").as_posix()
        line = soup(html / f"{name}.html").select_one("p.related")
        shown = [] if line is None else [a["href"].partition("#")[0] for a in line.select("a")]
        shown = [((html / name).parent / href).resolve().relative_to(html).with_suffix("").as_posix() for href in shown]
        used_by = [other for other, used in before.items() if name in used]
        assert shown == [*before[name], *used_by]
        lines[name] = line
    assert "Builds on" in lines["book/convnets/resnet"].text
    assert "Used by" in lines["book/neurons/shallow_networks"].text


def test_folded_cells_say_what_is_inside_and_drawings_what_they_show(html):
    count = 0
    for page in chapters.chapters():
        folded = [c for c in chapters.read(page).cells if "hide-input" in c.metadata.get("tags", [])]
        shown = soup(html / page.relative_to(ROOT).with_suffix(".html"))
        said = [fold.summary.text for fold in shown.select("details.fold:not(.hint)")]
        assert said == [cell.metadata["mystnb"]["code_prompt_show"] for cell in folded]
        drawn = sum("plot.drawing(" in cell.source for cell in folded)
        alts = [image["alt"] for image in shown.select("img.dl-light")]
        assert sum("gives" in alt and "input" in alt for alt in alts) >= drawn
        count += len(folded)
        assert len(shown.select("details.hint")) == page.read_text(encoding="utf8").count("````{hint}")
    assert count > 10


def test_records_have_their_card_and_their_numbers(html):
    cards = 0
    for page in chapters.chapters():
        shown = soup(html / page.relative_to(ROOT).with_suffix(".html"))
        names = record.shown(page)
        assert [card.text.replace("\n", " ") for card in shown.select("p.record-card")] == [
            record.about(name).replace("`", "") for name in names
        ]
        for name, key in re.findall(r"\{recorded\}`(\w+) ([\w-]+)`", page.read_text(encoding="utf8")):
            assert record.words(name)[key] in shown.text
        cards += len(names)
    assert cards > 0


def test_shapes_of_the_pages_are_listed(html):
    table = soup(html / "book" / "reference" / "checked.html").select("table")[-1]
    rows = [[cell.text for cell in row.select("td")] for row in table.select("tbody tr")]
    assert len(rows) == len(chapters.chapters())
    assert [row[1] for row in rows] == [f"{share}%" for share in page_shape.kept().values()]
    assert [row[2] for row in rows] == [f"{page_shape.words_a_topic(page):.0f}" for page in chapters.chapters()]


def test_shown_source_is_the_source_with_its_docstrings_shortened(html):
    page = soup(html / "book" / "neurons" / "sigmoid_neuron.html")
    blocks = [block.text for block in page.select("div.highlight pre")]
    assert any(
        block.startswith("def sigmoid(")
        and '"""Logistic function: the probability, from the log-odds."""' in block
        and "Source:" not in block
        and "return np.where(z >= 0, 1, e) / (1 + e)" in block
        for block in blocks
    )


def test_names_in_code_link_to_the_interface_and_back(html):
    """Every public name of a chapter's module that its cells use; its entry there lists the chapter."""
    for page in chapters.chapters():
        part, name = page.parent.name, page.stem
        shown = soup(html / page.relative_to(ROOT).with_suffix(".html"))
        entries = soup(html / "book" / "reference" / f"api_{part}.html")
        code = "\n".join(chapters.code_cells(chapters.read(page)))
        names = chapters.Package(ROOT).exported(f"dlref.{part}.{name}")
        used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)} & set(names)
        assert used
        links = {a["href"].replace("../../book/", "../") for a in shown.select("div.highlight a[href]")}
        for public in used:
            target = f"../reference/api_{part}.html#{names[public]}.{public}"
            assert target in links, public
            entry = entries.find(id=f"{names[public]}.{public}").parent
            assert any(f"{part}/{name}.html" in a["href"] for a in entry.select("table a[href]")), public


def test_headlines_are_among_the_results(html):
    table = soup(html / "book" / "reference" / "results.html").select_one("table").text
    cells = [cell for page in chapters.executable() for cell in chapters.read(page).cells]
    headlines = [what for cell in cells for what in cell.metadata.get("headline", {}).values()]
    assert headlines
    assert all(what in re.sub("[’‘]", "'", table) for what in headlines)


def test_front_page_has_a_card_a_part_and_the_facts_of_the_build(html):
    front = soup(html / "book" / "index.html")
    parts = yaml.safe_load((ROOT / "book" / "parts.yml").read_text(encoding="utf8"))
    cards = front.select(".sd-card")
    assert [card.select_one(".sd-card-title").text.strip() for card in cards] == [p["title"] for p in parts.values()]
    for card, part in zip(cards, parts, strict=True):
        written = [page for page in chapters.documents() if page.parent.name == part]
        assert len(card.select("img")) == 2 * bool(written), "light and dark"
        assert len(card.select("p.chapters a, .chapters a")) == len(written)
    facts = dict([cell.text.strip() for cell in row.find_all(["th", "td"])] for row in front.select("table tr"))
    pages = chapters.chapters()
    assert facts["Chapters"] == str(len(pages))
    cells = sum(len(chapters.code_cells(chapters.read(page))) for page in chapters.executable())
    assert facts["Code cells executed"] == str(cells)
    count = sum(len(chapters.equations(page)) for page in pages)
    assert facts["Equations held by tests"] == f"{count} of {count}"
    assert f"torch {torch.__version__}" in facts["Versions"]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def comparable(cell):
    """Every output of a cell that must be the same in two runs; what it glues is no output of a notebook."""
    shown = [output for output in cell.outputs if "scrapbook" not in output.get("metadata", {})]
    # a stream may arrive in one piece or in several
    printed = "".join(output.text for output in shown if output.output_type == "stream")
    data = [dict(output.data) for output in shown if "data" in output]
    return re.sub(r"0x[0-9a-f]{6,}", "0x", json.dumps([printed, data], sort_keys=True))


def quickest(part):
    """Its page that the book took least time to execute."""
    took = {ROOT / f"{page}.md": run.seconds for page, run in execute.known(ROOT).items()}
    return min((page for page in took if page.parent.name == part), key=took.__getitem__)


@pytest.mark.parametrize("part", sorted({page.parent.name for page in chapters.chapters()}))
@pytest.mark.timeout(execute.TIMEOUT)  # it executes a page
def test_notebook_runs_by_itself_and_shows_the_same(html, part, tmp_path):
    """The quickest chapter of each part, in an empty folder, without what the book is built with."""
    page = quickest(part)
    with execute.outputs(ROOT) as cache:
        _, kept = cache.merge_match_into_notebook(chapters.read(page))
    shown = [cell for cell in code(kept) if notebooks.without_glue(cell.source)]
    notebook = nbformat.read(html / "_sources" / page.relative_to(ROOT).with_suffix(".ipynb"), 4)
    hide = "import sys\nsys.modules.update(dict.fromkeys(['myst_nb', 'jupyter_book', 'tools']))"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(hide))
    file = tmp_path / "chapter.ipynb"
    nbformat.write(notebook, file)
    again, failure = execute.run(file, ROOT)
    assert failure is None
    for cell, other in zip(shown, code(again)[2:], strict=True):  # behind hiding and installing
        if "timing" not in cell.metadata.get("tags", []):
            assert comparable(other) == comparable(cell), cell.source


# -------------------------------------------------------------------------------------------------- budgets


def test_a_page_needs_at_most_two_gigabytes(html):
    """To be executed, and the whole book to be built."""
    held = {page: run.memory for page, run in execute.known(ROOT).items()}
    assert max(held.values()) <= 2e9, held
    assert 1e8 < int((ROOT / build.MEMORY).read_text()) <= 2e9


def test_site_and_repository_stay_small(html):
    """By the chapters that there are: sixty of their size must stay below 150 MB, and the repository below 60 MB."""
    sizes = {path: path.stat().st_size for path in html.rglob("*") if path.is_file() and path.suffix != ".pdf"}
    assert sum(sizes.values()) / len(chapters.chapters()) * 60 <= 150e6
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    packed = subprocess.run(["git", "count-objects", "-v"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kilobytes = sum(int(size) for size in re.findall(r"^size(?:-pack)?: (\d+)", packed, flags=re.MULTILINE))
    assert sum(path.stat().st_size for path in files) + 1024 * kilobytes <= 60e6


# ------------------------------------------------------------------------------------------------ notebooks


@pytest.mark.usefixtures("html")
def test_all_notebooks_by_one_command(tmp_path):
    """As publishing calls it."""
    address = "https://github.com/someone/their-book"
    command = [sys.executable, "-m", "tools.notebooks", str(tmp_path), "--repository", address]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    written = {path.relative_to(tmp_path).with_suffix("") for path in tmp_path.rglob("*.ipynb")}
    assert written == {page.relative_to(ROOT / "book").with_suffix("") for page in chapters.chapters()}
    assert all(f"git+{address}" in path.read_text(encoding="utf8") for path in tmp_path.rglob("*.ipynb"))


def test_glue_is_left_out_of_notebooks():
    code = (
        "from myst_nb import glue\nx = 1\nglue('x', x)\nfor a in (1, 2):\n    glue(\n        'a', a\n    )\n"
        "for b in (1, 2):\n    y = b\n    glue('b', b)\nprint(y)  # glue(y)"
    )
    assert notebooks.without_glue(code) == "x = 1\nfor b in (1, 2):\n    y = b\nprint(y)  # glue(y)"
    assert notebooks.without_glue("from myst_nb import glue\nfor a in x:\n    glue('a', a)") == ""
    assert notebooks.without_glue("f('é')  # drawn\nglue('x', x)") == "f('é');  # drawn", "as on the page: no value"
    assert notebooks.without_glue("glue('x', x)\nf()") == "f()"
    assert notebooks.without_glue("y = 1\nglue('x', x)") == "y = 1"


@pytest.mark.parametrize("page", chapters.chapters(), ids=lambda page: page.stem)
def test_notebook_is_plain(html, page):
    """No directive, role or label is left; the numbers and the source that it shows are those of the page."""
    notebook = nbformat.read(html / "_sources" / page.relative_to(ROOT).with_suffix(".ipynb"), 4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].source.startswith("# ")
    assert not re.search(r"\{[\w:]+\}`|^`{3,}\{|^:\w+:|^\([\w-]+\)=|\(eq-", text, flags=re.MULTILINE)
    assert "glue" not in "".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    shown = soup(html / page.relative_to(ROOT).with_suffix(".html"))
    numbers = [number.text.strip("()#") for number in shown.select(".eqno")]
    assert re.findall(r"\\tag\{([\d.]+)\}", text) == numbers
    listings = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    on_page = {block.text for block in shown.select("div.highlight pre")}
    assert len(listings) == page.read_text(encoding="utf8").count("{literalinclude}")
    assert set(listings) <= on_page
    button = shown.find("a", href=re.compile(r"\.ipynb$"))
    assert button["href"].endswith(f"_sources/{page.relative_to(ROOT).with_suffix('.ipynb').as_posix()}")


@pytest.mark.parametrize("page", [p for p in chapters.executable() if "budget(" in p.read_text()], ids=lambda p: p.stem)
def test_assertions_hold_at_the_budget_of_a_gpu(page, tmp_path, monkeypatch):
    """What a page says must not depend on how long it trains; on a CPU this takes a few minutes."""
    monkeypatch.setenv("DLREF_BUDGET", "gpu")
    notebook = chapters.read(page)
    asyncio.run(
        NotebookClient(
            notebook, timeout=900, resources={"metadata": {"path": tmp_path}}, **execute.OPTIONS
        ).async_execute()
    )


# -------------------------------------------------------------------------------- the repository's address

ADDRESS = "https://github.com/someone/their-book"


def test_links_to_the_repository_appear_with_its_address(html, tmp_path, monkeypatch):
    shown = (html / "book" / "optimization" / "momentum.html").read_text(encoding="utf8")
    assert not re.search('colab|mybinder|fa-github|Suggest edit|github.com/[^"]*/issues', shown)

    root = tmp_path / "book with an address"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in ["_build/executed.json", *filter(lambda name: (ROOT / name).is_file(), listed)]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    shutil.copytree(ROOT / "_build" / ".jupyter_cache", root / "_build" / ".jupyter_cache")
    config = root / "_config.yml"
    config.write_text(config.read_text().replace('  url: ""', f"  url: {ADDRESS}", 1))
    monkeypatch.delenv("DLREF_DEVICE")  # as the outputs were made
    command = [sys.executable, "-m", "tools.execute", str(root)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "unchanged" in ran.stdout
    assert "executed" not in ran.stdout
    # the front page and a chapter; that what they refer to is left out makes warnings
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\nchapters:\n- file: book/optimization/momentum\n")
    write = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", write, "build", str(root), "-q"]
    environment = os.environ | {"PYTHONPATH": str(root)}
    ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    page = soup(root / "_build" / "html" / "book" / "optimization" / "momentum.html")
    links = {a["href"] for a in page.find_all("a", href=True)}
    for part, rest in (
        (ADDRESS, ""),
        (f"{ADDRESS}/edit/main/", "book/optimization/momentum.md"),
        ("https://colab.research.google.com/github/someone/their-book/blob/notebooks/", "optimization/momentum.ipynb"),
        ("https://mybinder.org/v2/gh/someone/their-book/notebooks?labpath=", "optimization%2Fmomentum.ipynb"),
    ):
        assert part + rest in links
    front = soup(root / "_build" / "html" / "book" / "index.html").text
    assert f"dlref[notebook] @ git+{ADDRESS}" in front
    notebook = (root / "_build" / "html" / "_sources" / "book" / "optimization" / "momentum.ipynb").read_text()
    assert f"dlref[notebook] @ git+{ADDRESS}" in notebook


# ------------------------------------------------------------------------------------------------ pieces


def test_fingerprint_sees_every_input(small):
    before = build.fingerprint(small)
    for name in ("book/one.md", "_config.yml", "dlref/base.py"):
        path = small / name
        old = path.read_text()
        path.write_text(old + "\n")
        assert build.fingerprint(small) != before, name
        path.write_text(old)
    (small / "book" / "new.png").write_bytes(b"")
    assert build.fingerprint(small) != before
    (small / "book" / "new.png").unlink()
    assert build.fingerprint(small) == before


def test_marks_are_read_with_their_source(tmp_path):
    (tmp_path / "tests" / "p").mkdir(parents=True)
    code = 'import pytest\n\n\n@pytest.mark.verifies("eq-a", "eq-b")\n@pytest.mark.slow\ndef test_x():\n    pass\n'
    (tmp_path / "tests" / "p" / "test_m.py").write_text(code)
    held = chapters.verified(tmp_path)
    assert set(held) == {"eq-a", "eq-b"}
    (test,) = held["eq-a"]
    assert (test.path, test.name, test.line) == ("tests/p/test_m.py", "test_x", 6)
    assert test.source == code.split("\n\n\n")[1].rstrip()


def test_short_docstrings():
    source = '    def f(x):  # noqa: ARG001\n        """First.\n\n        More.\n        """\n        return 1\n'
    assert source_of.shorten(source) == 'def f(x):\n    """First."""\n    return 1\n'
    plain = 'class A:\n    """One line."""\n\n    def g(self):\n        return "text"  # kept\n'
    assert source_of.shorten(plain) == plain
