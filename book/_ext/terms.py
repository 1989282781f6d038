"""The definition of a term of the glossary, shown where the term is used, to the pointer and to the keyboard."""

from itertools import count

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxTranslator

GLOSSARY = "book/reference/glossary"


class meaning(nodes.General, nodes.Element):  # noqa: N801  docutils names nodes so
    """What a term means; no text of the page, so that the search does not find it everywhere."""


def attach(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put its definition behind each use of a term."""
    if page == GLOSSARY or GLOSSARY not in app.env.found_docs or app.builder.format != "html":
        return
    meanings, numbers = _meanings(app.env), count(1)
    for reference in list(doctree.findall(nodes.reference)):
        if not any("std-term" in inner["classes"] for inner in reference.findall(nodes.inline)):
            continue
        target = reference.get("refid") or reference["refuri"].partition("#")[2]
        name = f"definition-{next(numbers)}"
        reference["classes"].append("term")
        holder = nodes.inline(classes=["term-used"])
        reference.replace_self(holder)
        holder += [reference, meaning(name=name, text=meanings[target])]


def _meanings(env: BuildEnvironment) -> dict[str, str]:
    """Identifier of a term to its definition in plain words."""
    return {
        identifier: item.next_node(nodes.definition).astext().replace("\n", " ")
        for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item)
        for term in item.findall(nodes.term)
        for identifier in term["ids"]
    }


def visit(translator: SphinxTranslator, node: meaning) -> None:
    translator.body.append(f'<span role="tooltip" id="{node["name"]}">{translator.encode(node["text"])}</span>')
    raise nodes.SkipNode


def skip(_: SphinxTranslator, _node: meaning) -> None:
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(meaning, html=(visit, None), latex=(skip, None), text=(skip, None))
    app.connect("doctree-resolved", attach)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
