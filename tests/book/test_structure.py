"""The house: three trees of one shape, every equation and every public name held, every chapter whole."""

import ast
import functools
import importlib
import inspect
import io
import re
import tokenize
from pathlib import Path

import pytest
import yaml

from tools import chapters, mutants, page_shape, record

ROOT = chapters.ROOT
SHARED = ("data", "device", "plot", "train", "count")
PAGES = chapters.chapters()
CHAPTERS = [page.relative_to(ROOT / "book").with_suffix("") for page in PAGES]
MODULES = [f"dlref.{name}" for name in SHARED] + [f"dlref.{'.'.join(c.parts)}" for c in CHAPTERS]
PACKAGE = chapters.Package(ROOT)
NAMES = [(m, name) for m in MODULES for name in PACKAGE.exported(m)]


def text(page):
    return page.read_text(encoding="utf8")


def rooms(folder, prefix="", suffix=".py"):
    """What stands in the folder of each part: files, and packages of several files; private ones aside."""
    parts = {chapter.parts[0] for chapter in CHAPTERS}
    paths = [path for part in parts for path in (ROOT / folder / part).glob(f"{prefix}[!_.]*")]
    paths += [path for part in parts for path in (ROOT / folder / part).glob("*") if prefix and path.is_dir()]
    found = {path for path in paths if path.suffix == suffix or (path.is_dir() and path.name[:2] != "__")}
    return {Path(path.parent.name, path.stem.removeprefix(prefix)) for path in found}


# ------------------------------------------------------------------------------------------------ three trees


def test_there_are_chapters():
    assert len(CHAPTERS) >= 3


def test_three_trees_mirror_each_other():
    pages = {Path(path.parent.name, path.stem) for path in (ROOT / "book").glob("*/*.md")}
    pages = {page for page in pages if page.parts[0] not in ("reference", "records")}
    assert pages == rooms("dlref") == rooms("tests", "test_") == set(CHAPTERS)


FILES = [path.relative_to(ROOT / "dlref") for path in sorted((ROOT / "dlref").rglob("*.py")) if path.stem[:2] != "__"]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_module_has_a_test_of_its_name(file):
    """Or, where it is private, one whose docstring names it."""
    path = mutants.tests_of(Path("dlref", file).as_posix())
    assert (ROOT / path).is_file()
    assert file.stem.startswith("_") or path == Path("tests", file.parent, f"test_{file.name}").as_posix()


def test_only_the_checks_stand_loose_and_private():
    """And what every part needs to be used like torch's own: half precision, reductions, faster ways."""
    found = {path.name for path in (ROOT / "dlref").glob("_[!_]*.py")}
    assert found == {"_check.py", "_precision.py", "_reduction.py", "_shortcut.py"}


def code_lines(source):
    """Lines that hold code: without docstrings, comments and blank lines."""
    tree = ast.parse(source)
    words = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    docstrings = {line for node in words for line in range(node.lineno, node.end_lineno + 1)}
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type not in layout]
    return len({line for t in tokens for line in range(t.start[0], t.end[0] + 1)} - docstrings)


def test_lines_of_code_are_counted():
    source = '"""Doc.\n\nMore.\n"""\n\n# note\nx = [\n    1,  # one\n]\n\n\ndef f():\n    """Doc."""\n'
    assert code_lines(source) == 4


@pytest.mark.parametrize("file", FILES, ids=str)
def test_module_is_short(file):
    path = ROOT / "dlref" / file
    assert code_lines(text(path)) <= 200
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1 if ast.get_docstring(node) else 0] if len(node.body) > 1 else node.body[0]
            assert node.end_lineno - first.lineno < 50, f"{node.name} is too long"


def test_nothing_imports_from_a_later_chapter():
    """Neither a module nor a page; shared modules import from no chapter at all."""
    package, seen = chapters.Package(ROOT), set()
    loose = {f"dlref.{path.stem}" for path in (ROOT / "dlref").glob("*.py")} | {"dlref"}
    inside = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for name in SHARED
        for path in (ROOT / "dlref" / name).glob("*.py")
    }
    shared = loose | inside | {f"dlref.{name}" for name in SHARED}
    for name in shared:
        assert package.closure([name]) <= shared, name
    for page, chapter in zip(PAGES, CHAPTERS, strict=True):
        own = "dlref." + ".".join(chapter.parts)
        seen |= {own, *package.within(own)}
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


def test_every_checked_sentence_has_its_check_and_every_check_its_sentence():
    wanted = {page: chapters.sentences(page) for page in PAGES}
    tests = chapters.checking()
    for page in PAGES:
        recorded = [name for found in dict.fromkeys(record.shown(page)) for name in record.checks(found)]
        cells = recorded + [
            name for cell in chapters.code_cells(chapters.read(page)) for name in chapters.checks_in(cell)
        ]
        assert len(cells) == len(set(cells)), f"{page}: a check stands twice"
        assert set(cells) <= set(wanted[page]), f"{page}: no sentence asks for {set(cells) - set(wanted[page])}"
        assert set(wanted[page]) <= set(cells) | set(tests), page
    assert set(tests) <= {name for names in wanted.values() for name in names}


def test_checked_sentences_hold_no_markup(page):
    """The role shows its text as it stands."""
    for sentence in re.findall(r"\{checked\}`([^`<]*)<", text(page)):
        assert not re.search(r"[*$_\\]", sentence), sentence


def test_a_check_is_an_assertion(page):
    """The comment stands behind what can fail, not beside it."""
    for cell in chapters.code_cells(chapters.read(page)):
        lines = cell.splitlines()
        ends = [node.end_lineno for node in ast.walk(ast.parse(cell)) if can_fail(node)]
        for number, line in enumerate(lines, 1):
            assert not chapters.checks_in(line) or number in ends, line


def can_fail(node):
    called = ast.unparse(node.value.func) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else ""
    return isinstance(node, ast.Assert) or "assert" in called


@pytest.mark.parametrize("page", PAGES, ids=map(str, CHAPTERS))
def test_labels_of_equations_begin_with_eq(page):
    for label in re.findall(r"^\$\$\s*\(([^)]+)\)", text(page), flags=re.MULTILINE):
        assert re.fullmatch(r"eq-[a-z0-9-]+", label)


# ------------------------------------------------------------------------------------------------ public names


@functools.cache
def names_in_tests(module):
    """Every name that the tests of a module use, or those of a package's modules."""
    folder = (ROOT / "tests").joinpath(*module.split(".")[1:])
    paths = list(folder.glob("test_*.py")) if folder.is_dir() else [folder.with_name(f"test_{folder.name}.py")]
    nodes = [node for path in paths for node in ast.walk(ast.parse(text(path)))]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return used | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{m}.{n}" for m, n in NAMES])
def test_public_name_has_a_test_and_a_docstring(module, name):
    value = getattr(importlib.import_module(module), name)
    assert name in names_in_tests(module), f"the tests of {module} never use {name}"
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


OLD_FORM = yaml.safe_load(text(Path(__file__).with_name("old_form.yml")))
SHAPE = yaml.safe_load(text(Path(__file__).with_name("shape_exceptions.yml")))
NEW = [page for page, chapter in zip(PAGES, CHAPTERS, strict=True) if chapter.as_posix() not in OLD_FORM]


def test_chapters_in_the_old_form_exist():
    assert set(OLD_FORM) <= {chapter.as_posix() for chapter in CHAPTERS}


@pytest.fixture(params=[page for page in PAGES if page not in NEW], ids=lambda page: page.stem)
def old(request):
    return request.param


@pytest.fixture(params=NEW, ids=lambda page: page.stem)
def new(request):
    return request.param


def test_old_page_begins_with_a_question_and_something_to_look_at(old):
    page = old
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
        own_module = ".".join(source.relative_to(ROOT).with_suffix("").parts)
        assert own_module in (module.__name__, *PACKAGE.within(module.__name__))
        assert getattr(module, name_shown.split(".")[0]).__module__ == own_module
        own += 1
    assert own >= 2
    assert any(name_shown.split(".")[0] in PACKAGE.exported(module.__name__) for _, name_shown in shown)


def test_page_pastes_no_code_of_its_module(page):
    name = f"dlref.{page.parent.name}.{page.stem}"
    modules = [ast.parse(text(PACKAGE.path(module))) for module in PACKAGE.within(name) or [name]]
    own = {ast.unparse(node) for module in modules for node in ast.walk(module) if isinstance(node, ast.FunctionDef)}
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


def test_old_exercises_have_solutions_with_code_that_runs(old):
    page = old
    exercises = sections(page)["Exercises"]
    labels = re.findall(r"^```\{exercise-start\} .+\n:label: (\S+)", exercises, flags=re.MULTILINE)
    pattern = r"^````\{solution-start\} (\S+)\n:class: dropdown\n````\n(.*?)^````\{solution-end\}"
    solved = re.findall(pattern, exercises, flags=re.MULTILINE | re.DOTALL)
    assert 3 <= len(labels) <= 6
    assert labels == [label for label, _ in solved]
    assert all("```{code-cell}" in solution for _, solution in solved)


def test_old_page_ends_with_five_bullets_and_further_reading(old):
    page = old
    parts = sections(page)
    assert list(parts)[-3:] == ["Exercises", "Summary", "Further reading"]
    assert len(re.findall(r"^- ", parts["Summary"], flags=re.MULTILINE)) == 5
    assert len(re.findall(r"\{cite:t\}`", parts["Further reading"])) >= 2


def test_old_cells_are_short_and_fit_the_page(old):
    page = old
    for cell in chapters.code_cells(chapters.read(page)):
        lines = [line for line in cell.splitlines() if line.strip()]
        working = [line for line in lines if not re.match(r"(import|from) |def |    return ", line)]
        assert len(working) <= 15, f"{len(working)} lines: {lines[0]}"
        assert all(len(line) <= 88 for line in lines), f"too wide: {max(lines, key=len)}"


# ------------------------------------------------------------------------------------------------ the new form


def cells(markdown):
    """Each cell of a piece of a page: its header and its code."""
    found = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", markdown, flags=re.MULTILINE | re.DOTALL)
    parts = [re.match(r"(?:---\n(.*?)---\n)?((?::[^\n]*\n)*)(.*)", cell, flags=re.DOTALL) for cell in found]
    return [((part[1] or "") + part[2], part[3]) for part in parts]


def shown(header):
    """Whether the code of a cell with this header is seen."""
    return not re.search(r"hide-input|remove-input|remove-cell", header)


def words(markdown):
    return page_shape.words(markdown)


def test_page_opens_with_a_question_and_a_picture_and_no_code(new):
    opening = list(sections(new).values())[1]
    assert 40 <= len(words(opening)) <= 350
    assert not any(shown(header) for header, _ in cells(opening)), "code before the question"
    assert any("caption:" in header for header, _ in cells(opening)) or "```{record}" in opening
    assert "?" in opening


def topics_of(page):
    """Label to the text of its section, up to the next label or the next section."""
    body = text(page).partition("\n## In practice")[0]
    found = re.split(r"^\(([\w-]+)\)=\n", body, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_topic_has_a_drawing_and_an_example_by_hand(new):
    """And is explained in words: how many is held where the shape of pages is."""
    for label, section in topics_of(new).items():
        code = "\n".join(code for _, code in cells(section))
        assert re.search(r"drawing\(|sketch\(|sliders\(|caption:", code + section), f"{label}: nothing to look at"
        assert re.search(r"^### .*(by hand|numbers)", section, flags=re.MULTILINE), f"{label}: no example by hand"
        assert "assert" in code, label


def test_shape_of_the_page(new):
    """At most a quarter of its height is code, at least 350 words explain a topic; exceptions have a reason."""
    name = new.relative_to(ROOT / "book").with_suffix("").as_posix()
    exception = SHAPE.get(name, {})
    assert page_shape.kept()[name] <= exception.get("code", 25)
    assert page_shape.words_a_topic(new) >= exception.get("words", 350)
    assert not exception or len(exception["why"]) > 20


def test_page_shows_what_to_do_in_practice(new):
    parts = sections(new)
    assert list(parts)[-4:] == ["In practice", "Exercises", "Summary", "Further reading"]
    assert 3 <= len(re.findall(r"^- ", parts["Summary"], flags=re.MULTILINE)) <= 7
    assert len(re.findall(r"\{cite:t\}`", parts["Further reading"])) >= 2
    assert len(words(parts["In practice"])) >= 60


def test_exercises_have_a_mark_a_hint_and_an_answer_in_words(new):
    exercises = sections(new)["Exercises"]
    pattern = (
        r"^```\{exercise-start\} [^\n]+ (●{1,3})\n:label: (\S+)\n```\n(.*?)^```\{exercise-end\}\n```\n+"
        r"^````\{hint\}\n(.+?)^````\n+"
        r"^````\{solution-start\} (\S+)\n:class: dropdown\n````\n(.*?)^````\{solution-end\}"
    )
    found = re.findall(pattern, exercises, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == exercises.count("{exercise-start}")
    assert 6 <= len(found) <= 10
    for _, label, _, hint, solved, answer in found:
        assert label == solved
        assert len(words(hint)) >= 5
        assert len(words(answer)) >= 15, f"{label}: the answer is not in words"
    assert len([answer for *_, answer in found if "{code-cell}" not in answer]) >= 2, "two by pencil"
    assert any("redict" in question for _, _, question, *_ in found), "a prediction before a run"
    assert {"●", "●●", "●●●"} <= {mark for mark, *_ in found}


def test_pitfalls_are_three_to_five(new):
    assert 3 <= text(new).count("```{pitfall}") <= 5


def test_code_of_a_page_fits_and_packs_nothing(new):
    for cell in chapters.code_cells(chapters.read(new)):
        assert [line for line in cell.splitlines() if len(line) > 88] == []
        for node in ast.walk(ast.parse(cell)):
            names = node.targets[0] if isinstance(node, ast.Assign) else None
            packed = isinstance(names, ast.Tuple) and isinstance(node.value, ast.Tuple) and len(names.elts) > 2
            assert not packed, f"packed into one line: {ast.unparse(node)}"


def test_page_trains_through_the_package(new):
    """So its data and its networks are where the device is; and nobody reads a loop for the tenth time."""
    name = new.relative_to(ROOT / "book").with_suffix("").as_posix()
    code = "\n".join(chapters.code_cells(chapters.read(new)))
    assert name in STEPS_ARE_THE_TOPIC or not re.search(r"\.step\(\)", code)


STEPS_ARE_THE_TOPIC: list[str] = []


def test_page_with_a_larger_budget_on_a_gpu_trains_there(page):
    """What asks for more steps on a GPU must not stay on the CPU, nor give CPU data to a network on the GPU."""
    found = chapters.code_cells(chapters.read(page))
    code = "\n".join(found)
    if "budget(" not in code:
        return
    assert re.search(r"\bfit(_seeds)?\(", code)
    assert not re.search(r"\.(step|backward)\(\)", code), "a loop of its own leaves the network behind"
    for cell in found:
        assert "no_grad()" not in cell or ".cpu()" in cell or "device()" in cell, cell


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
        listed = PACKAGE.within(module) if part else []  # a chapter's package is documented module by module
        for documented in listed or [module]:
            assert f".. automodule:: {documented}\n" in pages[f"api_{part[0] if part else 'shared'}"]
    data = importlib.import_module("dlref.data")
    sets = [name for name in PACKAGE.exported("dlref.data") if inspect.isfunction(getattr(data, name))]
    for name in sets:
        assert f"{{data-card}} {name}\n" in pages["data"]
        assert pages["data"].count(f"{name}(") or "base_url" in inspect.signature(getattr(data, name)).parameters
