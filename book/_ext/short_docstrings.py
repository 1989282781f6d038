"""Show a function beside its equation without its whole docstring, which stands on the page of the interface.

A ``literalinclude`` with ``:pyobject:`` is the source itself, character by character, except that each docstring is cut
after its first line, and that notes to the linter and the type checker are left out.
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from tools.source import shorten


class ShortDocstrings(SphinxTransform):
    default_priority = 400

    def apply(self) -> None:
        for block in list(self.document.findall(nodes.literal_block)):
            if str(block.get("source", "")).endswith(".py"):
                block[:] = [nodes.Text(shorten(block.astext()))]
                block.rawsource = block.astext()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(ShortDocstrings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
