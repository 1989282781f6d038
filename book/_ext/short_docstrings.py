"""Show a function beside its equation without its whole docstring, which stands on the page of the interface.

A ``literalinclude`` with ``:pyobject:`` is the source itself, character by character, except that each docstring is cut
after its first line, and that notes to the linter and the type checker are left out.
"""

import ast
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class ShortDocstrings(SphinxTransform):
    default_priority = 400

    def apply(self) -> None:
        for block in list(self.document.findall(nodes.literal_block)):
            if str(block.get("source", "")).endswith(".py"):
                block[:] = [nodes.Text(shorten(block.astext()))]
                block.rawsource = block.astext()


def shorten(source: str) -> str:
    """The same source with each docstring of several lines cut after the first."""
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


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(ShortDocstrings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
