"""The topics of the book: index entries, which the search and the PDF use too, and ``topic-index``, a list of them.

What a topic is called, and what else a reader may look for, stands in ``book/topics.yml``.
"""

from pathlib import Path

from docutils import nodes
from fresh import depends, watch
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from tools import chapters

SOURCE = Path("book", "topics.yml")


class TopicEntries(SphinxTransform):
    """Put the names of a topic into the index, at the section that bears its label."""

    default_priority = 400  # when labels have become identifiers, before the index is gathered

    def apply(self) -> None:
        self.env.note_dependency(str(SOURCE))
        known = chapters.topics(Path(self.env.srcdir))
        for section in list(self.document.findall(nodes.section)):
            for label in section["ids"]:
                if label in known:
                    words = [known[label]["name"], *known[label].get("also", [])]
                    entries = [("single", word.replace(";", ","), label, "main", None) for word in words]
                    section.insert(1, addnodes.index(entries=entries))


class TopicIndex(SphinxDirective):
    """Chapter by chapter, each topic with a link to its section."""

    @staticmethod
    def inputs(root: Path) -> object:
        """What the topics are called, and on which page each stands."""
        return chapters.topics(root), [(page.as_posix(), chapters.labels(page)) for page in chapters.documents(root)]

    def run(self) -> list[nodes.Node]:
        depends(self, TopicIndex.inputs)
        root = Path(self.env.srcdir)
        known = chapters.topics(root)
        lines: list[str] = []
        part = None
        for page in chapters.documents(root):
            labels = [label for label in chapters.labels(page) if label in known]
            if not labels:
                continue
            if page.parent.name != part:
                part = page.parent.name
                lines += ["", f"## {part.capitalize()}", ""]
            chapter = page.relative_to(root).with_suffix("").as_posix()
            lines += [f"{{doc}}`/{chapter}`", ""]
            for label in labels:
                also = ", ".join(known[label].get("also", []))
                lines.append(f"- {{ref}}`{known[label]['name']} <{label}>`" + (f": {also}" if also else ""))
            lines.append("")
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    watch(TopicIndex.inputs)
    app.add_transform(TopicEntries)
    app.add_directive("topic-index", TopicIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
