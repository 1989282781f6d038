"""The book as one LaTeX document: parts, the front page ahead of the chapters, the reference pages as appendices."""

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxTranslator

from tools import chapters


def contents(app: Sphinx) -> None:
    """The list of contents is called so, and not by the caption of the first part."""
    if app.builder.format == "latex":
        app.builder.get_contentsname = lambda _: "Contents"  # type: ignore[attr-defined]


def arrange(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Put in what the pages' own headings do not say, once all of them stand in one tree."""
    if app.builder.format != "latex" or page != app.config.root_doc or not list(tree.findall(addnodes.start_of_file)):
        return
    front = next(tree.findall(nodes.section))
    for section in [node for node in front.children if isinstance(node, nodes.section)]:
        _without_number(section)
    for table in tree.findall(nodes.table):
        _long_table(table)
    for file in list(tree.findall(addnodes.start_of_file)):
        if file["docname"] == "book/reference/bibliography":  # LaTeX gives it a heading of its own
            section = next(file.findall(nodes.section))
            section.parent.replace(section, section.children[1:])
        title = _parts(app).get(file["docname"])
        if title is not None:
            before = rf"\part{{{title}}}" if title != "Reference" else rf"\appendix\part*{{{title}}}"
            file.parent.insert(file.parent.index(file), nodes.raw("", before, format="latex"))


def _long_table(table: nodes.table) -> None:
    """Widths for the columns of a table that goes over pages; without them LaTeX breaks no line in it."""
    rows = list(table.findall(nodes.row))
    if len(rows) < 30 or "colwidths-given" in table["classes"]:  # Sphinx lets LaTeX divide the width of shorter ones
        return
    texts = zip(*([entry.astext() for entry in row.children] for row in rows), strict=True)
    for specification, column in zip(table.findall(nodes.colspec), texts, strict=True):
        specification["colwidth"] = max(6, min(36, max(map(len, column))))
    table["classes"].append("colwidths-given")


def _parts(app: Sphinx) -> dict[str, str]:
    """The first page of each part to its title."""
    toc = yaml.safe_load((chapters.Path(app.srcdir) / "_toc.yml").read_text(encoding="utf8"))
    return {part["chapters"][0]["file"]: part["caption"] for part in toc["parts"]}


def _without_number(section: nodes.section) -> None:
    """A section of the front page is no chapter."""
    title = next(section.findall(nodes.title))
    text = title.astext()
    heading = nodes.raw("", rf"\section*{{{text}}}", format="latex")
    index = section.parent.index(section)
    section.parent[index : index + 1] = [heading, *[child for child in section.children if child is not title]]


def anchor(translator: SphinxTranslator, node: nodes.Element) -> None:
    """Something to link to, for elements that have none in LaTeX of their own."""
    translator.body.append("\n\n")
    for identifier in node["ids"]:
        translator.body.append(translator.hypertarget(identifier))  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", contents)
    app.connect("doctree-resolved", arrange)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
