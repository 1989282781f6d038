"""``data-card``: what the docstring of a function of ``dlref.data`` says of its data set, as a table."""

import importlib
import inspect
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.chapters import Package
from tools.source import pairs


class DataCard(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        module = Package(Path(self.env.srcdir)).exported("dlref.data")[name]
        self.env.note_dependency(f"{module.replace('.', '/')}.py")
        text = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
        title, _, rest = text.partition("\n\n")
        fields = re.findall(r"^:(\w+): (.*(?:\n    .*)*)", rest, flags=re.MULTILINE)
        if not fields:
            raise self.error(f"the docstring of dlref.data.{name} has no card")
        source = re.search(r"^Source:\n((?:    .*\n)+)", rest, flags=re.MULTILINE)
        assert source is not None
        rows = {"Function": f"{{py:func}}`dlref.data.{name}`"}
        for field, content in [*fields, ("Source", source[1])]:
            rows[field] = " ".join(content.split()).replace("``", "`")
        return self.parse_text_to_nodes("\n".join([" ".join(title.split()), "", *pairs(rows)]))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("data-card", DataCard)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
