"""Pieces of modules, and of MyST, that pages are made from."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def pyobject(text: str, name: str) -> str:
    """The source of a function, class or method (``Class.method``), its decorators included."""
    body: list[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for part in name.split("."):
        node = next(n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part)
        body = node.body
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n"


def start_at(text: str, words: str) -> str:
    """The lines from the first that holds ``words``, as Sphinx's option of that name takes them."""
    lines = text.splitlines(keepends=True)
    return "".join(lines[next(number for number, line in enumerate(lines) if words in line) :])


def constant(path: Path, name: str) -> Any:
    """The value of a constant of a module that is written out there, without importing it."""
    for node in ast.parse(path.read_text(encoding="utf8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise KeyError(f"{path} has no constant {name}")


def shorten(source: str) -> str:
    """The same source with each docstring of several lines cut after the first, and without notes to linters."""
    lines = source.splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    tree = ast.parse("\n".join(line[indent:] for line in lines))
    cuts: dict[int, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            text = node.body[0]
            if text.end_lineno is not None and text.end_lineno > text.lineno:
                cuts[text.lineno - 1] = text.end_lineno
    shown, skip = [], 0
    for number, line in enumerate(lines):
        if number < skip:
            continue
        line = re.sub(r"  # (noqa|pyright|type|fmt): ?.*$", "", line[indent:])
        shown.append(line + ('"""' if number in cuts else ""))
        skip = cuts.get(number, 0)
    return "\n".join(shown) + "\n"


def pairs(rows: Mapping[str, object]) -> list[str]:
    """The lines of a table of two columns, the first of which names the second."""
    table = ["```{list-table}", ":stub-columns: 1", ""]
    for name, value in rows.items():
        table += [f"* - {name}", f"  - {value}"]
    return [*table, "```"]
