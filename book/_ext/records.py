"""Records of long runs on a page: ``record``, a card and a picture; the role ``recorded``, a number.

``{record} NAME PICTURE`` shows ``book/records/NAME/PICTURE.svg`` with its caption, and how long the run took, on what,
when and from which seeds. ``{recorded}`NAME KEY` `` is what the record's ``page.words(numbers)`` has under that key.
"""

import os
import shutil
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from tools import record


class Record(SphinxDirective):
    required_arguments = 2
    has_content = True
    option_spec = {"name": directives.unchanged_required, "alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        name, picture = self.arguments
        root = Path(self.env.srcdir)
        folder = root / record.FOLDER / name
        self.env.note_dependency(str(folder / "record.json"))
        image = self._copy(folder / f"{picture}.{'pdf' if self.env.app.builder.format == 'latex' else 'svg'}")
        figure = nodes.figure("", image)
        self.set_source_info(figure)
        words, messages = self.parse_inline(" ".join(self.content))
        figure += nodes.caption("", "", *words)
        figure["names"].append(self.options["name"])
        self.state.document.note_explicit_target(figure, figure)
        card = nodes.paragraph("", "", *self.parse_inline(record.about(name, root))[0], classes=["record-card"])
        card["ids"] += [f"check-{check}" for check in record.checks(name, root)]
        return [figure, card, *messages]

    def _copy(self, picture: Path) -> nodes.image:
        """The picture, from among those of the cells: there it gets its dark twin."""
        there = Path(self.env.app.outdir).parent / "jupyter_execute" / f"{picture.parent.name}-{picture.name}"
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(picture, there)
        page = Path(self.env.doc2path(self.env.docname)).parent
        return nodes.image(uri=Path(os.path.relpath(there, page)).as_posix(), alt=self.options["alt"])


class Recorded(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        name, _, key = self.text.partition(" ")
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / record.FOLDER / name / "record.json"))
        self.env.note_dependency(str(root / record.FOLDER / name / "page.py"))
        words = record.words(name, root)
        if key not in words:
            message = self.inliner.reporter.error(
                f"{name} has no {key!r}, but {', '.join(sorted(words))}", line=self.lineno
            )
            return [], [message]
        return [nodes.Text(words[key])], []


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("record", Record)
    app.add_role("recorded", Recorded())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
