"""Beside each labelled equation, a mark that links to the tests that hold it; ``equation-tests`` lists those tests."""

from pathlib import Path

from docutils import nodes
from fresh import changed, numbered
from pdf import anchor
from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from tools import chapters

logger = logging.getLogger(__name__)
LIST = "book/reference/equations"  # the page that holds the directive


class equation_tests(nodes.General, nodes.Element):  # noqa: N801  docutils names nodes so
    """Where the tests of all equations are to stand."""


class held(nodes.General, nodes.Element):  # noqa: N801
    """Where the tests of an equation begin in print."""


class EquationTests(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [equation_tests()]


def read_marks(app: Sphinx) -> None:
    """Which tests hold which equation."""
    app.dl_held = chapters.verified(Path(app.srcdir))  # type: ignore[attr-defined]


def outdated(app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """When the tests have changed, so have the marks on every page with equations."""
    old, env.dl_held = getattr(env, "dl_held", None), app.dl_held  # type: ignore[attr-defined]
    return [] if old == app.dl_held else sorted(env.found_docs)  # type: ignore[attr-defined]


def list_is_outdated(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The list has tests and, since numbers are given after this, whatever they are given by."""
    held = app.dl_held  # type: ignore[attr-defined]
    titles = sorted((page, title.astext()) for page, title in env.titles.items())
    if LIST in env.found_docs and changed(env, "equations", (held, numbered(env), titles)):
        return [LIST]
    return []


def mark(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Add the marks of a page, and fill in the list."""
    held = app.dl_held  # type: ignore[attr-defined]
    for equation in list(doctree.findall(nodes.math_block)):
        label = equation.get("label") or ""
        if not label.startswith("eq-"):
            continue
        tests = held.get(label, [])
        if not tests:
            logger.warning("no test holds the equation %s", label, location=equation)
            continue
        words = f"held by {len(tests)} test" + "s" * (len(tests) > 1)
        link = make_refnode(app.builder, page, LIST, f"held-{label}", nodes.Text(words), words)
        place = equation.parent if isinstance(equation.parent, nodes.target) else equation
        place.parent.insert(place.parent.index(place) + 1, nodes.paragraph("", "", link, classes=["eq-held"]))
    for place in list(doctree.findall(equation_tests)):
        place.replace_self(_sections(app, page))


def _sections(app: Sphinx, page: str) -> list[nodes.Node]:
    domain = app.env.get_domain("math")
    assert isinstance(domain, MathDomain)
    numbered = []
    for label, tests in app.dl_held.items():  # type: ignore[attr-defined]
        if label not in domain.equations:
            logger.warning("%s::%s verifies %s, which no page defines", tests[0].path, tests[0].name, label)
            continue
        document = domain.equations[label][0]
        number = app.env.toc_fignumbers[document]["displaymath"][f"equation-{label}"]
        numbered.append((number, label, document, tests))
    found: list[nodes.Node] = []
    for number, label, document, tests in sorted(numbered):
        name = f"{app.env.titles[document].astext()}, equation "
        if app.builder.format == "latex":  # which numbers and labels equations itself
            found.append(held("", ids=[f"held-{label}"], docname=page))
            link = nodes.raw("", rf"\eqref{{equation:{document}:{label}}}", format="latex")
            found.append(nodes.paragraph("", "", nodes.strong("", name), link))
        else:
            name += f"({'.'.join(map(str, number))})"
            link = make_refnode(app.builder, page, document, f"equation-{label}", nodes.Text(name))
            found.append(nodes.paragraph("", "", nodes.strong("", "", link), ids=[f"held-{label}"]))
        found += [node for test in tests for node in source_of(test)]
    return found


def source_of(test: chapters.Test) -> list[nodes.Node]:
    """Where a test stands, and what it says."""
    code = nodes.literal_block(test.source, test.source, language="python")
    return [nodes.paragraph("", "", nodes.literal(text=f"{test.path}:{test.line}")), code]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(equation_tests)
    app.add_node(held, latex=(anchor, lambda *_: None))
    app.add_directive("equation-tests", EquationTests)
    app.connect("builder-inited", read_marks)
    app.connect("env-get-outdated", outdated)
    app.connect("env-updated", list_is_outdated)
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
