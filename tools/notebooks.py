"""Chapters as notebooks that run by themselves where dlref is installed: no Sphinx, no other file of the book.

What Sphinx would fill in is filled in here: source that a page shows, numbers of equations, citations, numbers that the
cells of the book gave.
"""

import argparse
import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.plugin import find_plugin

from tools import chapters, execute, record, source

INSTALL = """\
from importlib.util import find_spec

if find_spec("dlref") is None:
    %pip install --quiet "{requirement}\""""


def convert(page: Path, root: Path, repository: str = "") -> nbformat.NotebookNode:
    """The notebook of a chapter whose outputs are up to date."""
    text = _Text(page, root)
    requirement = f"dlref[notebook] @ git+{repository}" if repository else "dlref[notebook]"
    cells = [new_code_cell(INSTALL.format(requirement=requirement))]
    for cell in chapters.read(page).cells:
        if cell.cell_type == "markdown":
            words = text.convert(cell.source)
            cells += [new_markdown_cell(words)] if words else []
        elif code := without_glue(cell.source):
            cells.append(new_code_cell(code))
            caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption")
            cells += [new_markdown_cell(f"*{text.convert(caption)}*")] if caption else []
    if text.cited:
        cells.append(new_markdown_cell(text.references()))
    cells[0], cells[1] = cells[1], cells[0]  # the title first
    notebook = new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"  # two builds are the same
    nbformat.validate(notebook)
    return notebook


def without_glue(code: str) -> str:
    """The cell without what hands numbers to the page's sentences. What then comes last shows nothing either."""
    gone: set[int] = set()
    body = ast.parse(code).body
    left = [node for node in body if not _drop(node, gone)]
    lines = code.splitlines()
    if left and left[-1] is not body[-1] and isinstance(last := left[-1], ast.Expr):
        assert last.end_lineno is not None
        line = lines[last.end_lineno - 1].encode()  # columns are counted in bytes
        lines[last.end_lineno - 1] = (line[: last.end_col_offset] + b";" + line[last.end_col_offset :]).decode()
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in gone).strip("\n")


def _drop(node: ast.stmt, gone: set[int]) -> bool:
    """Whether nothing of a statement is left without glue; its lines then join those that are gone."""
    if isinstance(node, ast.For | ast.If | ast.With):
        left = [child for child in node.body if not _drop(child, gone)]
        empty = not left
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        empty = ast.unparse(node.value.func) == "glue"
    else:
        empty = isinstance(node, ast.ImportFrom) and node.module == "myst_nb"
    if empty:
        assert node.end_lineno is not None
        gone.update(range(node.lineno, node.end_lineno + 1))
    return empty


class _Text:
    """The sentences of a page, turned into plain Markdown."""

    def __init__(self, page: Path, root: Path) -> None:
        self.page = page
        self.root = root
        self.values = execute.glued(root, page)
        self.numbers = numbers(root)
        self.library: BibliographyData = parse_file(root / "book" / "references.bib")
        self.cited: dict[str, Entry] = {}

    def convert(self, text: str) -> str:
        text = re.sub(r"^\([\w-]+\)=\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^(`{3,})\{([\w-]+)\}(.*)\n((?:.*\n)*?)\1 *$", self._directive, text, flags=re.MULTILINE)
        text = re.sub(r"^\$\$ *\((eq-[\w-]+)\) *$", self._tag, text, flags=re.MULTILINE)
        text = re.sub(r"\{([\w:]+)\}`([^`]*)`", self._role, text)
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def _tag(self, found: re.Match) -> str:
        return rf"\tag{{{self.numbers[found[1]]}}}" + "\n$$"

    def _directive(self, found: re.Match) -> str:
        name, argument, body = found[2], found[3].strip(), found[4].strip("\n")
        options = dict(re.findall(r"^:([\w-]+): *(.*)$", body, flags=re.MULTILINE))
        body = re.sub(r"^:[\w-]+:.*\n?", "", body, flags=re.MULTILINE).strip("\n")
        if name == "literalinclude":
            module = (self.page.parent / argument).read_text(encoding="utf8")
            shown = source.pyobject(module, options.pop("pyobject"))
            if "start-at" in options:
                shown = source.start_at(shown, options.pop("start-at").strip("\"'"))
            options.pop("dedent", None)  # shorten() moves the first line to the margin anyway
            if options:
                raise ValueError(f"{self.page}: a notebook cannot show a listing's {', '.join(options)}")
            return "```python\n" + source.shorten(shown) + "```"
        if name == "record":
            about = record.about(argument.split()[0], self.root)
            return f"*{self.convert(body)}* {about}"
        if name == "hint":
            return f"> Hint: {argument} {body}".strip()
        if name == "pitfall":
            return "\n".join(f"> {line}" for line in [f"**Pitfall: {argument}**", "", *body.splitlines()])
        words = {"exercise-start": f"**Exercise: {argument}.**", "solution-start": "**Solution**"}
        if name in words or name in ("exercise-end", "solution-end"):
            return words.get(name, "")
        raise ValueError(f"{self.page}: a notebook cannot show the directive {name}")

    def _role(self, found: re.Match) -> str:
        name, text = found[1], found[2]
        title = re.fullmatch(r"(.*?) *<.*>", text, flags=re.DOTALL)
        roles: dict[str, Callable[[], Any]] = {
            "glue:text": lambda: self.values[text],
            "eq": lambda: f"({self.numbers[text]})",
            "cite:p": lambda: "(" + "; ".join(self._cite(key, "{}, {}") for key in text.split(",")) + ")",
            "cite:t": lambda: ", ".join(self._cite(key, "{} ({})") for key in text.split(",")),
            "term": lambda: title[1] if title else text,
            "recorded": lambda: record.words(text.partition(" ")[0], self.root)[text.partition(" ")[2]],
            "checked": lambda: title[1] if title else text,
            "ref": lambda: title[1] if title else f"“{self._section(text)}”",
            "doc": lambda: title[1] if title else text,
            "numref": lambda: f"the figure “{self._caption(text)}”",
        }
        if name.startswith("py:"):
            return f"`{text.rpartition('.')[2] if text.startswith('~') else text}`"
        if name not in roles:
            raise ValueError(f"{self.page}: a notebook cannot show the role {name}")
        return str(roles[name]())

    def _section(self, label: str) -> str:
        pages = "\n".join(page.read_text(encoding="utf8") for page in self.page.parent.parent.glob("*/*.md"))
        found = re.search(rf"^\({re.escape(label)}\)=\n#+ (.*)$", pages, flags=re.MULTILINE)
        assert found is not None, f"{self.page}: no section is labelled {label}"
        return found[1]

    def _caption(self, name: str) -> str:
        page = self.page.read_text(encoding="utf8")
        found = re.search(rf"^ *name: {re.escape(name)}\n *caption: \"?(.*?)[.:;]", page, flags=re.MULTILINE)
        assert found is not None, f"{self.page}: no figure is named {name}"
        return found[1]

    def _cite(self, key: str, form: str) -> str:
        entry = self.cited.setdefault(key.strip(), self.library.entries[key.strip()])
        names = [" ".join(person.last_names).strip("{}") for person in entry.persons["author"]]
        who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
        return form.format(who, entry.fields["year"])

    def references(self) -> str:
        """What the page cites."""
        style = find_plugin("pybtex.style.formatting", "plain")()
        backend = find_plugin("pybtex.backends", "markdown")()
        entries = style.format_entries(
            sorted(self.cited.values(), key=lambda entry: entry.persons["author"][0].last_names)
        )
        return "\n".join(["## References", "", *(f"- {_unescape(entry.text.render(backend))}" for entry in entries)])


def _unescape(text: str) -> str:
    """Pybtex puts a backslash before all punctuation, and breaks lines."""
    return " ".join(re.sub(r"\\([-.,:;()/$^&'])", r"\1", text).split())


def numbers(root: Path) -> dict[str, str]:
    """Label of an equation to its number in the book."""
    return {
        label: f"{chapter}.{number}"
        for chapter, page in enumerate(chapters.chapters(root), 1)
        for number, label in enumerate(chapters.equations(page), 1)
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the notebooks, in a folder a part")
    parser.add_argument("--repository", default="", help="address that dlref is installed from, where it is not found")
    options = parser.parse_args()
    for chapter in chapters.chapters():
        target = options.folder / chapter.relative_to(chapters.ROOT / "book").with_suffix(".ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(convert(chapter, chapters.ROOT, options.repository), target)
        print(target)
