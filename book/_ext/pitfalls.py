"""``pitfall``: a mistake that common course notes make, the right thing, its check. ``pitfall-list`` gathers them.

The argument is the mistake, in a sentence; the content is the right thing; the check is the code cell that follows.
"""

from docutils import nodes
from fresh import changed, numbered
from pdf import anchor
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, new_document
from sphinx.util.nodes import make_refnode


class pitfall(nodes.Admonition, nodes.Element):  # noqa: N801  docutils names nodes so
    """A pitfall in a chapter."""


class pitfall_list(nodes.General, nodes.Element):  # noqa: N801
    """Where all pitfalls are to stand."""


class Pitfall(SphinxDirective):
    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        number = self.env.new_serialno("pitfall")
        target = f"pitfall-{number + 1}"
        node = pitfall("\n".join(self.content), ids=[target], classes=["admonition", "pitfall"])
        self.set_source_info(node)
        mistake, messages = self.parse_inline(self.arguments[0])
        title = nodes.title("", "", nodes.inline("", "Pitfall: ", classes=["pitfall-word"]), *mistake)
        node += [title, *messages]
        self.state.nested_parse(self.content, self.content_offset, node)
        entry = {"page": self.env.docname, "target": target, "text": node.pformat(), "node": node.deepcopy()}
        _all(self.env).append(entry)
        return [node]


class PitfallList(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        _listing(self.env).add(self.env.docname)
        return [pitfall_list()]


def _all(env: BuildEnvironment) -> list[dict]:
    if not hasattr(env, "dl_pitfalls"):
        env.dl_pitfalls = []  # type: ignore[attr-defined]
    return env.dl_pitfalls  # type: ignore[attr-defined]


def _listing(env: BuildEnvironment) -> set[str]:
    if not hasattr(env, "dl_pitfall_lists"):
        env.dl_pitfall_lists = set()  # type: ignore[attr-defined]
    return env.dl_pitfall_lists  # type: ignore[attr-defined]


def forget(_: Sphinx, env: BuildEnvironment, page: str) -> None:
    """A page is read anew: its pitfalls come again."""
    _all(env)[:] = [entry for entry in _all(env) if entry["page"] != page]


def list_is_outdated(_: Sphinx, env: BuildEnvironment) -> list[str]:
    """Where a pitfall has changed the lists are written anew; what they take over may have mathematics."""
    for page in _listing(env):
        env.get_domain("math").data["has_equations"][page] = True
    entries = [(entry["page"], entry["target"], entry["text"]) for entry in _all(env)]
    titles = sorted((page, title.astext()) for page, title in env.titles.items())
    return sorted(_listing(env)) if changed(env, "pitfalls", (sorted(entries), titles, numbered(env))) else []


def fill_lists(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put every pitfall, in the order of the book, where a list was asked for."""
    env = app.env
    order = list(env.toctree_includes.get(env.config.root_doc, [])) + sorted(env.found_docs)
    for place in doctree.findall(pitfall_list):
        entries = sorted(_all(env), key=lambda e: (order.index(e["page"]), int(e["target"].split("-")[1])))
        rows: list[nodes.Node] = []
        for entry in entries:
            copy = entry["node"].deepcopy()
            title, *content = copy.children
            chapter = env.titles[entry["page"]].astext()
            link = make_refnode(app.builder, page, entry["page"], entry["target"], nodes.Text(chapter))
            head = nodes.paragraph("", "", nodes.strong("", "", *title.children[1:]))
            more = nodes.paragraph("", "", nodes.Text("Checked in "), link, nodes.Text("."))
            rows.append(nodes.container("", head, *content, more, classes=["erratum"]))
        holder = nodes.container("", *rows)
        for reference in list(holder.findall(pending_xref)):
            reference["refdoc"] = page
        alone = new_document("")  # not the whole page: its transforms have run already and must not run twice
        alone += holder
        env.resolve_references(alone, page, app.builder)
        alone.remove(holder)
        place.replace_self(holder)


def visit(translator: nodes.NodeVisitor, node: pitfall) -> None:
    translator.visit_admonition(node)  # type: ignore[attr-defined]


def depart(translator: nodes.NodeVisitor, node: pitfall) -> None:
    translator.depart_admonition(node)  # type: ignore[attr-defined]


def visit_latex(translator: nodes.NodeVisitor, node: pitfall) -> None:
    anchor(translator, node)  # type: ignore[arg-type]
    visit(translator, node)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(pitfall, html=(visit, depart), latex=(visit_latex, depart), text=(visit, depart))
    app.add_node(pitfall_list)
    app.add_directive("pitfall", Pitfall)
    app.add_directive("pitfall-list", PitfallList)
    app.connect("env-purge-doc", forget)
    app.connect("env-updated", list_is_outdated)
    app.connect("doctree-resolved", fill_lists)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
