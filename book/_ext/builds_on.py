"""One line under the title of a chapter: which chapters it builds on, which use it."""

from pathlib import Path

from docutils import nodes
from fresh import depends_on, watch
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode

from tools import chapters


def inputs(root: Path) -> object:
    """Each chapter and those that it builds on."""
    return chapters.builds_on(root)


class related(nodes.General, nodes.Element):  # noqa: N801  docutils names nodes so
    """Where the line is to stand."""


class Related(SphinxTransform):
    default_priority = 400

    def apply(self) -> None:
        root = Path(self.env.srcdir)
        if root / f"{self.env.docname}.md" not in chapters.chapters(root):
            return
        depends_on(self.env, inputs)
        title = next(self.document.findall(nodes.title), None)
        if title is not None:
            title.parent.insert(title.parent.index(title) + 1, related(page=self.env.docname))


def fill(app: Sphinx, document: nodes.document, _: str) -> None:
    """Links to both, in reading order; in print all chapters are one document."""
    for place in list(document.findall(related)):
        page = place["page"]
        before = chapters.builds_on(Path(app.srcdir))
        after = [other for other, used in before.items() if page in used]
        line = nodes.paragraph(classes=["related"])
        for words, pages in (("Builds on ", before[page]), ("Used by ", after)):
            if pages:
                line += nodes.inline("", words, classes=["related-word"])
                for k, other in enumerate(pages):
                    line += [nodes.Text(", " if k else "")] * bool(k)
                    title = nodes.Text(app.env.titles[other].astext())
                    line += make_refnode(app.builder, page, other, "", [title])
                line += nodes.Text(". ")
        place.replace_self(line if line.children else [])


def setup(app: Sphinx) -> dict[str, bool]:
    watch(inputs)
    app.add_node(related)
    app.add_transform(Related)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
