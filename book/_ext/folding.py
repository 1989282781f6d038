"""What a reader opens when it is wanted: folded code, hints.

A cell with the tag ``hide-input`` is folded behind ``code_prompt_show`` of its metadata, which says what is inside. No
script is needed. In print the folded code is left out, and its output stays.
"""

from html import escape

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxTranslator

logger = logging.getLogger(__name__)


def fold(app: Sphinx, document: nodes.document) -> None:
    """Hold that each folded cell says what is inside; leave the code out in print."""
    for cell in list(document.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code" or not cell.get("hide_mode"):
            continue
        if cell["hide_mode"] != "input" or "{type}" in cell["prompt_show"]:
            message = "a folded cell hides its input alone, and says what is inside (code_prompt_show)"
            logger.warning(message, location=cell)
        cell["prompt_hide"] = cell["prompt_show"]
        if app.builder.format == "latex":
            del cell["hide_mode"]
            for code in [child for child in cell.children if child.get("nb_element") == "cell_code_source"]:
                cell.remove(code)


def visit_fold(translator: SphinxTranslator, node: HideCodeCellNode) -> None:
    translator.body.append('<details class="fold">\n')
    translator.body.append(f"<summary>{escape(node['prompt_show'])}</summary>\n")


def visit_hint(translator: SphinxTranslator, _: nodes.hint) -> None:
    translator.body.append('<details class="fold hint">\n<summary>Hint</summary>\n')


def depart(translator: SphinxTranslator, _: nodes.Element) -> None:
    translator.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(HideCodeCellNode, override=True, html=(visit_fold, depart))
    app.add_node(nodes.hint, override=True, html=(visit_hint, depart))
    app.connect("doctree-read", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
