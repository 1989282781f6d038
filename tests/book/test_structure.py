"""The house: three trees of one shape, every equation and every public name held, every chapter whole."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
import yaml

from tools import chapters

ROOT = chapters.ROOT
SHARED = ("data", "device", "plot", "train")
PAGES = chapters.chapters()
CHAPTERS = [page.relative_to(ROOT / "book").with_suffix("") for page in PAGES]
MODULES = [f"dlref.{name}" for name in SHARED] + [f"dlref.{'.'.join(c.parts)}" for c in CHAPTERS]
NAMES = [(m, name) for m in MODULES for name in importlib.import_module(m).__all__]


def text(page):
    return page.read_text(encoding="utf8")


def files(folder, pattern):
    return {
        path.relative_to(ROOT / folder)
        for path in (ROOT / folder).glob(f"*/{pattern}")
        if not path.stem.startswith("_")
    }


# ------------------------------------------------------------------------------------------------ three trees


def test_there_are_chapters():
    assert len(CHAPTERS) >= 3


def test_three_trees_mirror_each_other():
    pages = {path.with_suffix("") for path in files("book", "*.md") if path.parts[0] != "reference"}
    modules = {path.with_suffix("") for path in files("dlref", "*.py")}
    tests = {Path(p.parent, p.stem.removeprefix("test_")) for p in files("tests", "test_*.py") if p.parts[0] != "book"}
    assert pages == modules == tests == set(CHAPTERS)


def test_shared_modules_have_tests():
    for name in SHARED:
        assert (ROOT / "tests" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("module", MODULES)
def test_module_is_short(module):
    path = chapters.Package(ROOT).path(module)
    assert len(text(path).splitlines()) <= 300
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1 if ast.get_docstring(node) else 0] if len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < 50, f"{node.name} is too long"


def test_nothing_imports_from_a_later_chapter():
    """Neither a module nor a page; shared modules import from no chapter at all."""
    package, seen = chapters.Package(ROOT), set()
    shared = {f"dlref.{path.stem}" for path in (ROOT / "dlref").glob("*.py")} | {"dlref"}
    for name in shared:
        assert package.closure([name]) <= shared, name
    for page, chapter in zip(PAGES, CHAPTERS, strict=True):
        seen.add("dlref." + ".".join(chapter.parts))
        seen |= {
            f"dlref.{chapter.parts[0]}.{path.stem}" for path in (ROOT / "dlref" / chapter.parts[0]).glob("_[a-z]*.py")
        }
        for used in (package.closure([f"dlref.{'.'.join(chapter.parts)}"]), chapters.modules_of(page, package)):
            assert used <= seen | shared, f"{chapter} uses {used - seen - shared}"


def test_parts_take_over_all_public_names():
    for module, name in NAMES:
        part = module.rpartition(".")[0]
        if part != "dlref":
            assert getattr(importlib.import_module(part), name) is getattr(importlib.import_module(module), name)


# ------------------------------------------------------------------------------------------------ equations


def test_every_equation_is_held_by_a_test_and_every_mark_has_its_equation():
    defined = [label for page in chapters.documents() for label in chapters.equations(page)]
    assert len(defined) == len(set(defined)), "a label stands twice"
    assert set(defined) == set(chapters.verified())


@pytest.mark.parametrize("page", PAGES, ids=map(str, CHAPTERS))
def test_labels_of_equations_begin_with_eq(page):
    for label in re.findall(r"^\$\$\s*\(([^)]+)\)", text(page), flags=re.MULTILINE):
        assert re.fullmatch(r"eq-[a-z0-9-]+", label)


# ------------------------------------------------------------------------------------------------ public names


def test_file(module):
    part = Path(*module.split(".")[1:])
    return ROOT / "tests" / part.parent / f"test_{part.name}.py"


test_file.__test__ = False


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{m}.{n}" for m, n in NAMES])
def test_public_name_has_a_test_and_a_docstring(module, name):
    value = getattr(importlib.import_module(module), name)
    used = {n.id for n in ast.walk(ast.parse(text(test_file(module)))) if isinstance(n, ast.Name)}
    used |= {n.attr for n in ast.walk(ast.parse(text(test_file(module)))) if isinstance(n, ast.Attribute)}
    assert name in used, f"{test_file(module)} never uses {name}"
    if not callable(value) or not hasattr(value, "__module__") or not value.__module__.startswith("dlref"):
        return  # a table of colours, an alias of a type
    doc = inspect.getdoc(value)
    assert doc
    for section in ("Source:", "Example:"):
        assert f"\n{section}\n" in doc + "\n", f"{name} has no section {section}"
    assert ">>> " in doc
    assert not re.search(r"\\\\[A-Za-z,]", doc), "a backslash too many for the mathematics"
    parameters = [p for p in inspect.signature(value).parameters if p not in ("self", "args", "kwargs")]
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"^    ([\w, ]+):", doc, flags=re.MULTILINE))))
    assert set(parameters) <= documented, f"not documented: {set(parameters) - documented}"


# ------------------------------------------------------------------------------------------------ chapters


def sections(page):
    """Heading to text, fences included; a `#` inside a fence is no heading."""
    parts, current, fence = {"": ""}, "", None
    for line in text(page).splitlines():
        mark = re.match(r"(`{3,})(.*)", line)
        if mark and fence is None:
            fence = mark[1]
        elif fence is not None and line.strip() == fence:
            fence = None
        if fence is None and not mark and (heading := re.match(r"#{1,2} (.*)", line)):
            current = heading[1]
            parts[current] = ""
        parts[current] += line + "\n"
    return parts


@pytest.fixture(params=PAGES, ids=map(str, CHAPTERS))
def page(request):
    return request.param


def test_page_begins_with_a_question_and_something_to_look_at(page):
    opening = list(sections(page).values())[1]
    prose = opening.split("```")[0].split("\n", 1)[1].strip()
    assert 1 <= len(re.findall(r"[.?!](?=\s|$)", prose)) <= 4, "two sentences or so"
    assert re.search(r"\{code-cell\}.*?(?:caption:|glue\()", opening, flags=re.DOTALL), (
        "no figure or number at the start"
    )


def test_page_shows_the_source_of_its_module(page):
    part, name = page.parent.name, page.stem
    shown = re.findall(r"\{literalinclude\} (\S+)\n:pyobject: (\S+)", text(page))
    assert len(shown) >= 2
    module = importlib.import_module(f"dlref.{part}.{name}")
    own = 0
    for path, name_shown in shown:
        source = (page.parent / path).resolve()
        if source.stem.startswith("_"):  # what the part's modules share
            assert source.parent == ROOT / "dlref" / part
            continue
        assert source == Path(module.__file__)
        assert getattr(module, name_shown.split(".")[0]).__module__ == module.__name__
        own += 1
    assert own >= 2
    assert any(name_shown.split(".")[0] in module.__all__ for _, name_shown in shown)


def test_page_pastes_no_code_of_its_module(page):
    module = ast.parse(text(ROOT / "dlref" / page.parent.name / f"{page.stem}.py"))
    own = {ast.unparse(node) for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
    for cell in chapters.code_cells(chapters.read(page)):
        for node in ast.walk(ast.parse(cell)):
            assert not isinstance(node, ast.FunctionDef) or ast.unparse(node) not in own


def test_each_pitfall_is_followed_by_its_check(page):
    pitfalls = list(re.finditer(r"^```\{pitfall\} .+\n(?:.+\n)+```\n+(\S.*)$", text(page), flags=re.MULTILINE))
    assert len(pitfalls) == text(page).count("```{pitfall}") >= 2
    for found in pitfalls:
        assert found[1] == "```{code-cell}", found[0][:60]
        cell = text(page)[found.end() :].split("\n```", 1)[0]
        assert re.search(r"^ *(assert |.*assert_allclose|try:)", cell, flags=re.MULTILINE), "the check cannot fail"


def test_exercises_have_solutions_with_code_that_runs(page):
    exercises = sections(page)["Exercises"]
    labels = re.findall(r"^```\{exercise-start\} .+\n:label: (\S+)", exercises, flags=re.MULTILINE)
    pattern = r"^````\{solution-start\} (\S+)\n:class: dropdown\n````\n(.*?)^````\{solution-end\}"
    solved = re.findall(pattern, exercises, flags=re.MULTILINE | re.DOTALL)
    assert 3 <= len(labels) <= 6
    assert labels == [label for label, _ in solved]
    assert all("```{code-cell}" in solution for _, solution in solved)


def test_page_ends_with_five_bullets_and_further_reading(page):
    parts = sections(page)
    assert list(parts)[-3:] == ["Exercises", "Summary", "Further reading"]
    assert len(re.findall(r"^- ", parts["Summary"], flags=re.MULTILINE)) == 5
    assert len(re.findall(r"\{cite:t\}`", parts["Further reading"])) >= 2


def test_cells_are_short_and_fit_the_page(page):
    for cell in chapters.code_cells(chapters.read(page)):
        lines = [line for line in cell.splitlines() if line.strip()]
        working = [line for line in lines if not re.match(r"(import|from) |def |    return ", line)]
        assert len(working) <= 15, f"{len(working)} lines: {lines[0]}"
        assert all(len(line) <= 88 for line in lines), f"too wide: {max(lines, key=len)}"


def test_seed_of_chance_is_fixed(page):
    """torch's default generator may be used only after seed(); NumPy's generators are made with a seed."""
    code = "\n".join(chapters.code_cells(chapters.read(page)))
    assert "default_rng()" not in code
    assert not re.search(r"np\.random\.(?!default_rng)", code)
    if re.search(r"torch\.rand|nn\.(Linear|Conv)|lenet5\(", code) and "fit(" in code:
        assert "seed(" in code


# ------------------------------------------------------------------------------------------------ numbers in prose


def prose(page):
    """The sentences: without code, mathematics, roles, links, directives' options and headings."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text(page), flags=re.DOTALL)
    body = re.sub(r"^(`{3,})\{(?!pitfall).*?^\1\s*$", "", body, flags=re.MULTILINE | re.DOTALL)
    body = re.sub(r"^`{3,}.*$|^#.*$|^:[\w-]+:.*$|^\([\w-]+\)=$", "", body, flags=re.MULTILINE)
    body = re.sub(r"\$\$.*?\$\$(\s*\([\w-]+\))?", "", body, flags=re.DOTALL)
    body = re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)", "", body)
    return re.sub(r"\b[A-Z][\w]*-\d+\b", "", body)  # LeNet-5, VGG-16


ALLOWED = yaml.safe_load(text(Path(__file__).with_name("typed_numbers.yml")))


def test_no_number_is_typed_that_a_cell_could_give(page):
    name = page.relative_to(ROOT / "book").with_suffix("").as_posix()
    typed = re.findall(r"(?<![\w.,-])\d(?:[\d.,]*\d)?%?(?![\w])", prose(page))
    allowed = {str(number) for number in ALLOWED.get(name, {})}
    suspicious = [n for n in typed if n not in allowed and not re.fullmatch(r"\d", n)]
    assert not suspicious, "take these from a cell with glue, or say in typed_numbers.yml why not"
    assert allowed <= set(typed), f"no longer on the page: {allowed - set(typed)}"


# ------------------------------------------------------------------------------------------- topics, terms, results


def test_every_term_of_the_glossary_is_used_and_in_order():
    body = text(ROOT / "book" / "reference" / "glossary.md").split("```{glossary}\n")[1].split("```")[0]
    terms = [line for line in body.splitlines() if line and not line.startswith(" ")]
    assert terms == sorted(terms, key=str.lower)
    used = set()
    for page in PAGES:
        for found in re.findall(r"\{term\}`([^`]*)`", text(page)):
            used.add(re.sub(r".*<(.*)>", r"\1", found))
    assert used == set(terms)


def test_notation_stands_where_the_table_says():
    """Each symbol occurs in the equation or in the mathematics of the section that is said to define it."""
    where = {}
    for page in PAGES:
        for formula, label in re.findall(r"\$\$\n(.*?)\n\$\$ \((eq-[\w-]+)\)", text(page), flags=re.DOTALL):
            where["eq", label] = formula
        _, *parts = re.split(r"^\(([\w-]+)\)=\n", text(page), flags=re.MULTILINE)
        for label, body in zip(parts[::2], parts[1::2], strict=True):
            where["ref", label] = " ".join(re.findall(r"\$+([^$]+)\$+", body))
    rows = re.findall(
        r"^\| (\$.*?\$) \| .*\{(eq|ref)\}`([\w-]+)`", text(ROOT / "book/reference/notation.md"), re.MULTILINE
    )
    assert len(rows) > 20
    for symbols, kind, label in rows:
        for symbol in re.findall(r"\$([^$]+)\$", symbols):
            pattern = rf"(?<![A-Za-z\\]){re.escape(symbol)}(?![A-Za-z])"
            assert re.search(pattern, where[kind, label]), f"{symbol} does not occur in {label}"


def test_page_has_a_topic_and_a_headline(page):
    """A topic by its label, and in the results a number of some experiment."""
    assert set(chapters.labels(page)) & set(chapters.topics())
    assert any(cell.metadata.get("headline") for cell in chapters.read(page).cells)


def test_every_part_has_its_card():
    parts = yaml.safe_load(text(ROOT / "book" / "parts.yml"))
    order = list(dict.fromkeys(chapter.parts[0] for chapter in CHAPTERS))
    assert [part for part in parts if part in order] == order
    for part in order:
        page, _, figure = parts[part]["figure"].partition("#")
        assert f"name: {figure}\n" in text(ROOT / "book" / f"{page}.md")


def test_every_module_and_data_set_has_its_place_in_the_reference():
    pages = {page.stem: text(page) for page in (ROOT / "book" / "reference").glob("*.md")}
    for module in MODULES:
        _, *part, name = module.split(".")
        assert f"## {name}\n" in pages[f"api_{part[0] if part else 'shared'}"]
        assert f".. automodule:: {module}\n" in pages[f"api_{part[0] if part else 'shared'}"]
    data = importlib.import_module("dlref.data")
    sets = [name for name in data.__all__ if inspect.isfunction(getattr(data, name))]
    for name in sets:
        assert f"{{data-card}} {name}\n" in pages["data"]
        assert pages["data"].count(f"{name}(") or "base_url" in inspect.signature(getattr(data, name)).parameters
