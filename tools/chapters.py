"""What the book consists of, read from its files: chapters, code cells, the modules they use, equations and tests."""

import ast
import functools
import hashlib
import importlib.metadata
import os
import pickle
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import yaml
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def documents(root: Path = ROOT) -> list[Path]:
    """The pages of the book in reading order, from ``_toc.yml``."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    found: list[Path] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            for key in ("root", "file"):
                if key in node:
                    found.append((root / node[key]).with_suffix(".md"))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(toc)
    return found


def chapters(root: Path = ROOT) -> list[Path]:
    """The pages that teach, in reading order: without the front page and the reference."""
    return [page for page in documents(root) if page.parent.name not in ("book", "reference")]


def executable(root: Path = ROOT) -> list[Path]:
    """The pages that hold code cells."""
    return [page for page in documents(root) if is_myst_markdown_notebook(page.read_text(encoding="utf8"))]


def read(page: Path) -> nbformat.NotebookNode:
    """A page as a notebook, as Sphinx will read it; ``metadata.source_map`` has the line at which each cell begins."""
    if page.suffix == ".ipynb":
        return nbformat.read(page, 4)
    return pickle.loads(_parsed(page, page.read_text(encoding="utf8")))  # noqa: S301  made below


@functools.cache
def _parsed(page: Path, text: str) -> bytes:
    """A page as a notebook, pickled: kept beside the outputs, since pages are read often and change seldom."""
    tools = "\0".join(importlib.metadata.version(name) for name in ("myst-nb", "myst-parser", "nbformat"))
    root = next((folder for folder in page.parents if (folder / "_toc.yml").is_file()), page.parent)
    kept = root / "_build" / "pages" / f"{hashlib.sha256(f'{tools}{page.name}{text}'.encode()).hexdigest()}.pickle"
    if kept.is_file():
        return kept.read_bytes()
    notebook = read_myst_markdown_notebook(text, config=MdParserConfig(), add_source_map=True, path=page)
    if (root / "_build").is_dir():
        kept.parent.mkdir(exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(pickle.dumps(notebook))
        part.replace(kept)
    return pickle.dumps(notebook)


def fingerprint(page: Path) -> str:
    """Hash of the text of a page."""
    return hashlib.sha256(page.read_bytes()).hexdigest()


def code_cells(notebook: nbformat.NotebookNode) -> list[str]:
    """Sources of the code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@functools.cache
def _listed(source: str) -> list[str]:
    """What ``__all__`` of a module lists."""
    found = re.search(r"^__all__ = (\[[^]]*\])", source, flags=re.MULTILINE)
    return ast.literal_eval(found[1]) if found else []


@functools.cache
def _imports(source: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each import of a piece of code: the module, and the names that are taken from it, if any."""
    found: list[tuple[str, tuple[str, ...]]] = []
    if "dlref" in source:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found += [(alias.name, ()) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.append((node.module, tuple(alias.name for alias in node.names)))
    return found


@dataclass
class Package:
    """The modules of ``dlref`` with what each imports of the others, read without importing anything."""

    root: Path
    _known: dict[str, set[str]] = field(default_factory=dict)
    _exported: dict[str, dict[str, str]] = field(default_factory=dict)

    def path(self, module: str) -> Path | None:
        """The file of a dotted name, if it is a module or a package."""
        base = self.root.joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
        return None

    def exported(self, package: str) -> dict[str, str]:
        """Public name to module, for a package whose modules' ``__all__`` is its interface, or for one module."""
        if package not in self._exported:
            names: dict[str, str] = {}
            for module in self.within(package) or [package]:
                path = self.path(module)
                assert path is not None
                names |= dict.fromkeys(_listed(path.read_text(encoding="utf8")), module)
            self._exported[package] = names
        return self._exported[package]

    def within(self, package: str) -> list[str]:
        """The public modules of a package, those of its subpackages included."""
        folder = self.root.joinpath(*package.split("."))
        paths = sorted(
            path for path in folder.rglob("*.py") if not re.search("/_", path.relative_to(folder.parent).as_posix())
        )
        return [".".join(path.relative_to(self.root).with_suffix("").parts) for path in paths]

    def imported(self, source: str) -> set[str]:
        """Modules of dlref that a piece of code imports; a name of a part counts as the module that defines it."""
        found: set[str] = set()
        for module, names in _imports(source):
            found |= self._from(module, names) if names else self._whole(module)
        return found

    def _from(self, module: str, names: Iterable[str]) -> set[str]:
        if module.split(".")[0] != "dlref":
            return set()
        path = self.path(module)
        if path is None or path.name != "__init__.py":
            return {module}
        exported, found = self.exported(module), set()
        for name in names:
            if self.path(f"{module}.{name}"):
                found.add(f"{module}.{name}")
            elif name in exported:
                found.add(exported[name])
            else:
                found |= self._whole(module)
        return found

    def _whole(self, name: str) -> set[str]:
        if name.split(".")[0] != "dlref":
            return set()
        path = self.path(name)
        if path is not None and path.name == "__init__.py" and name != "dlref":
            return {name, *self.within(name)}
        return {name}

    def closure(self, modules: Iterable[str]) -> set[str]:
        """The modules and all that they import in turn."""
        done: set[str] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            path = self.path(module)
            if module in done or path is None:
                continue
            done.add(module)
            if module not in self._known:
                self._known[module] = self.imported(path.read_text(encoding="utf8"))
            waiting += self._known[module]
        return done


def modules_of(page: Path, package: Package) -> set[str]:
    """Every module of dlref that the cells of a page use, all the way down."""
    return package.closure(package.imported("\n".join(_python(code_cells(read(page))))))


def _python(cells: Iterable[str]) -> Iterator[str]:
    """Cells without IPython's line magics, which are no Python."""
    for cell in cells:
        yield re.sub(r"^\s*[%!].*$", "", cell, flags=re.MULTILINE)


@functools.cache
def versions() -> str:
    """What the pages are executed with: Python, the device that was asked for, every distribution that they need."""
    needed = {f"{name}=={importlib.metadata.version(name)}" for name in _needed("dlref", frozenset({"book"}))}
    listed = ROOT / "data-packages.txt"
    needed |= set(re.findall(r"^\w+==[\d.]+", listed.read_text(encoding="utf8"), flags=re.MULTILINE))
    return "\n".join([platform.python_version(), os.environ.get("DLREF_DEVICE", ""), *sorted(needed)])


def _needed(name: str, extras: frozenset[str]) -> set[str]:
    """The distributions that one needs, all the way down; what only the tests need is not among them."""
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, extras)]
    while waiting:
        one = waiting.pop()
        if one in done:
            continue
        try:
            requirements = importlib.metadata.requires(one[0]) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        done.add(one)
        for requirement in map(Requirement, requirements):
            wanted = [{"extra": extra} for extra in one[1]] or [{"extra": ""}]
            if requirement.marker is None or any(map(requirement.marker.evaluate, wanted)):
                waiting.append((requirement.name.lower(), frozenset(requirement.extras)))
    return {found for found, _ in done} - {name}


def key(page: Path, package: Package, environment: str) -> str:
    """What the outputs of a page depend on, as a hash: its cells, the modules they use, the versions."""
    digest = hashlib.sha256(environment.encode())
    for cell in read(page).cells:
        if cell.cell_type == "code":
            digest.update(b"\0cell\0" + cell.source.encode() + repr(cell.metadata.get("tags")).encode())
    for module in sorted(modules_of(page, package)):
        path = package.path(module)
        assert path is not None
        digest.update(b"\0module\0" + module.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Test:
    """A test function that holds equations."""

    __test__ = False  # not a test itself, whatever pytest thinks of the name

    path: str
    name: str
    line: int
    source: str


@functools.cache
def _marked(path: str, text: str, kind: str) -> list[tuple[str, Test]]:
    """Label and test for each mark of a kind in a test file."""
    found: list[tuple[str, Test]] = []
    if f"pytest.mark.{kind}" not in text:
        return found
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == f"pytest.mark.{kind}":
                first = min(decorator.lineno for decorator in node.decorator_list)
                source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
                test = Test(path, node.name, node.lineno, source)
                found += [(ast.literal_eval(label), test) for label in mark.args]
    return found


def verified(root: Path = ROOT) -> dict[str, list[Test]]:
    """Label of an equation to the tests marked ``@pytest.mark.verifies(label, ...)``."""
    return _tests(root, "verifies")


def checking(root: Path = ROOT) -> dict[str, list[Test]]:
    """Name of a check to the tests marked ``@pytest.mark.checks(name, ...)``."""
    return _tests(root, "checks")


def _tests(root: Path, kind: str) -> dict[str, list[Test]]:
    held: dict[str, list[Test]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for label, test in _marked(path.relative_to(root).as_posix(), path.read_text(encoding="utf8"), kind):
            held.setdefault(label, []).append(test)
    return held


def checks_in(code: str) -> list[str]:
    """Names of the sentences that a cell says it checks, ``# check: name``."""
    return re.findall(r"# check: ([a-z0-9-]+)$", code, flags=re.MULTILINE)


def sentences(page: Path) -> list[str]:
    """Names of the checks of the sentences of a page, each as often as a sentence asks for it."""
    text = re.sub(
        r"^(`{3,})\{code-cell\}.*?^\1 *$", "", page.read_text(encoding="utf8"), flags=re.MULTILINE | re.DOTALL
    )
    return re.findall(r"\{checked\}`[^`]+<([a-z0-9-]+)>`", text)


def builds_on(root: Path = ROOT) -> dict[str, list[str]]:
    """Each chapter to the earlier ones whose code its cells or its module import, or that its text refers to."""
    pages = chapters(root)
    names = {page: page.relative_to(root).with_suffix("").as_posix() for page in pages}
    package = Package(root)
    module = {page: ".".join(("dlref", page.parent.name, page.stem)) for page in pages}
    home = {part: page for page, own in module.items() for part in (own, *package.within(own))}
    stands = {label: page for page in pages for label in (*labels(page), *equations(page))}
    found: dict[str, list[str]] = {}
    for place, page in enumerate(pages):
        text = page.read_text(encoding="utf8")
        source = package.path(module[page])
        code = "\n".join(_python(code_cells(read(page)))) + (f"\n{source.read_text(encoding='utf8')}" if source else "")
        used = {home.get(name) for name in package.imported(code)}
        referred = re.findall(r"\{(?:ref|eq)\}`(?:[^`<]*<)?([\w-]+)>?`", text)
        used |= {stands.get(label) for label in referred}
        used |= {root / f"book/{path}" for path in re.findall(r"\]\((?:\.\./)(\w+/\w+\.md)\)", text)}
        used |= {(page.parent / path) for path in re.findall(r"\]\((\w+\.md)\)", text)}
        found[names[page]] = [names[other] for other in pages[:place] if other in used]
    return found


def topics(root: Path = ROOT) -> dict[str, dict]:
    """Label of a topic to its name and to what else a reader may look for."""
    path = root / "book" / "topics.yml"
    return yaml.safe_load(path.read_text(encoding="utf8")) if path.exists() else {}


def labels(page: Path) -> list[str]:
    """Labels that stand before the sections of a page."""
    return re.findall(r"^\(([\w-]+)\)=\n#", page.read_text(encoding="utf8"), flags=re.MULTILINE)


def equations(page: Path) -> list[str]:
    """Labels of the numbered equations of a page."""
    return re.findall(r"^\$\$\s*\((eq-[\w-]+)\)\s*$", page.read_text(encoding="utf8"), flags=re.MULTILINE)
