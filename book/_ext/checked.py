"""``checked``: a sentence that an assertion holds. A small mark behind it leads to the cell or to the test.

In the text: ``{checked}`the gap grows with depth <gap-by-depth>` ``. The assertion has the comment
``# check: gap-by-depth`` in a cell of the same page, or the mark ``@pytest.mark.checks("gap-by-depth")`` on a test.
``check-tests`` lists those tests, ``checked-sentences`` says how many there are on each page.
"""

import re
from pathlib import Path

from docutils import nodes
from equation_marks import LIST, source_of
from fresh import depends, watch
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

from tools import chapters

logger = logging.getLogger(__name__)


class check_mark(nodes.Inline, nodes.Element):  # noqa: N801  docutils names nodes so
    """The mark behind a sentence, until it is known where it leads."""


class Checked(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = re.fullmatch(r"(.+?)\s*<([a-z0-9-]+)>", self.text, flags=re.DOTALL)
        if found is None:
            message = self.inliner.reporter.error(
                f"checked needs a sentence and a name, got {self.text!r}", line=self.lineno
            )
            return [], [message]
        sentence = nodes.inline("", found[1], classes=["checked"])
        mark = check_mark(name=found[2], docname=self.env.docname)
        self.set_source_info(mark)
        return [sentence, mark], []


def name_cells(app: Sphinx, document: nodes.document) -> None:
    """A cell with the assertion of a sentence can be led to."""
    known = _known(app.env)[app.env.docname] = set()
    for cell in document.findall(nodes.container):
        if cell.get("nb_element") == "cell_code":
            code = next((block.astext() for block in cell.findall(nodes.literal_block)), "")
            names = chapters.checks_in(code)
            cell["ids"] += [f"check-{name}" for name in names]
            known |= set(names)
    for card in document.findall(nodes.paragraph):
        if "record-card" in card["classes"]:
            known |= {name.removeprefix("check-") for name in card["ids"]}


def forget(_: Sphinx, env: BuildEnvironment, page: str) -> None:
    _known(env).pop(page, None)


def _known(env: BuildEnvironment) -> dict[str, set[str]]:
    """Page to the names of the checks in its cells."""
    if not hasattr(env, "dl_checks"):
        env.dl_checks = {}  # type: ignore[attr-defined]
    return env.dl_checks  # type: ignore[attr-defined]


def resolve(app: Sphinx, document: nodes.document, page: str) -> None:
    """Lead each mark to its cell, also from a page that takes the sentence over; or else to its test."""
    tests = chapters.checking(Path(app.srcdir))
    for mark in list(document.findall(check_mark)):
        name = mark["name"]
        in_cell = name in _known(app.env).get(mark["docname"], ())
        if not in_cell and name not in tests:
            logger.warning("no cell of its page and no test checks %s", name, location=mark)
        where, words = (mark["docname"], "the cell") if in_cell else (LIST, "the test")
        link = make_refnode(app.builder, page, where, f"check-{name}", nodes.Text("✓"), f"{words} that checks this")
        link["classes"].append("check")
        mark.replace_self(link if app.builder.format == "html" else nodes.inline())


class CheckTests(SphinxDirective):
    """The tests that hold sentences."""

    @staticmethod
    def inputs(root: Path) -> object:
        """The tests."""
        return chapters.checking(root)

    def run(self) -> list[nodes.Node]:
        depends(self, CheckTests.inputs)
        found: list[nodes.Node] = []
        for name, tests in sorted(chapters.checking(Path(self.env.srcdir)).items()):
            found.append(nodes.paragraph("", "", nodes.strong("", name), ids=[f"check-{name}"]))
            found += [node for test in tests for node in source_of(test)]
        return found


class CheckedSentences(SphinxDirective):
    """How many sentences of each page are checked."""

    @staticmethod
    def inputs(root: Path) -> object:
        """Name of the page, and the number."""
        counts = {page: len(chapters.sentences(page)) for page in chapters.chapters(root)}
        return [(page.relative_to(root).with_suffix("").as_posix(), n) for page, n in counts.items() if n]

    def run(self) -> list[nodes.Node]:
        depends(self, CheckedSentences.inputs)
        rows = CheckedSentences.inputs(Path(self.env.srcdir))
        assert isinstance(rows, list)
        lines = ["| chapter | sentences with a check |", "| --- | ---: |"]
        return self.parse_text_to_nodes("\n".join(lines + [f"| {{doc}}`/{page}` | {n} |" for page, n in rows]))


def setup(app: Sphinx) -> dict[str, bool]:
    watch(CheckTests.inputs, CheckedSentences.inputs)
    app.add_node(check_mark)
    app.add_role("checked", Checked())
    app.add_directive("check-tests", CheckTests)
    app.add_directive("checked-sentences", CheckedSentences)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", name_cells, priority=400)
    app.connect("doctree-resolved", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
