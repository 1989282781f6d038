"""``page-shape``: what a reader sees of each chapter, as a table."""

from pathlib import Path

from docutils import nodes
from fresh import depends, watch
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools import chapters, page_shape


class PageShape(SphinxDirective):
    @staticmethod
    def inputs(root: Path) -> object:
        """Chapter, visible code in per cent, words a topic."""
        code = page_shape.kept(root)
        pages = {page.relative_to(root / "book").with_suffix("").as_posix(): page for page in chapters.chapters(root)}
        return [(name, code.get(name, "?"), round(page_shape.words_a_topic(page))) for name, page in pages.items()]

    def run(self) -> list[nodes.Node]:
        depends(self, PageShape.inputs)
        rows = PageShape.inputs(Path(self.env.srcdir))
        assert isinstance(rows, list)
        lines = ["| chapter | visible code | words a topic |", "| --- | ---: | ---: |"]
        lines += [f"| {{doc}}`/book/{name}` | {share}% | {number} |" for name, share, number in rows]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    watch(PageShape.inputs)
    app.add_directive("page-shape", PageShape)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
