"""What has not changed is neither read nor written again.

A directive whose text depends on more than its page says on what (``inputs``); its page is read again when that has
changed, and not at every build. Figures and equations keep their numbers while no page has gained or lost one. A page
is kept without what its nodes drag along.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector
from sphinx.search import IndexBuilder
from sphinx.util.docutils import SphinxDirective

Inputs = Callable[[Path], object]
_inputs: dict[str, Inputs] = {}


def digest(value: object) -> str:
    """A short name for a value that has a faithful ``repr``."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def depends(directive: SphinxDirective, inputs: Inputs) -> None:
    """The page of this directive is read again when ``inputs(root)`` is no longer what it is now."""
    depends_on(directive.env, inputs)


def depends_on(env: BuildEnvironment, inputs: Inputs) -> None:
    """The same for the page that is being read."""
    name = inputs.__qualname__ + "@" + inputs.__module__
    _inputs[name] = inputs
    _stored(env, "dl_inputs").setdefault(env.docname, {})[name] = digest(inputs(Path(env.srcdir)))


def watch(*inputs: Inputs) -> None:
    """Say, when an extension is set up, what its directives depend on: a page read earlier names it."""
    _inputs.update({f"{function.__qualname__}@{function.__module__}": function for function in inputs})


def other_inputs(app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """Pages whose directives would say something else now."""
    root, now = Path(app.srcdir), {}
    for names in _stored(env, "dl_inputs").values():
        for name in names:
            if name not in now:
                now[name] = digest(_inputs[name](root)) if name in _inputs else ""
    pages = _stored(env, "dl_inputs").items()
    return [page for page, names in pages if any(now[name] != old for name, old in names.items())]


def changed(env: BuildEnvironment, name: str, value: object) -> bool:
    """Whether a value is another than when it was last asked for, one build ago or more."""
    known, new = _stored(env, "dl_known"), digest(value)
    if known.get(name) == new:
        return False
    known[name] = new
    return True


def forget(_: Sphinx, env: BuildEnvironment, page: str) -> None:
    for name in ("dl_inputs", "dl_shape"):
        _stored(env, name).pop(page, None)


def _stored(env: BuildEnvironment, name: str) -> dict[str, Any]:
    if not hasattr(env, name):
        setattr(env, name, {})
    return getattr(env, name)


def shape(app: Sphinx, document: nodes.document) -> None:
    """What numbers depend on: everything on a page that has a name, in its order, and the pages below it."""
    standard = app.env.domains["std"]
    found: list[object] = []
    for node in document.findall(nodes.Element):
        if isinstance(node, addnodes.toctree):
            found.append(node["entries"])
        elif node["ids"]:
            title = standard.get_numfig_title(node) if isinstance(node, nodes.Element) else None  # type: ignore[attr-defined]
            found.append((type(node).__name__, node["ids"][0], bool(title), isinstance(node.parent, nodes.section)))
    _stored(app.env, "dl_shape")[app.env.docname] = digest(found)


def numbered(env: BuildEnvironment) -> object:
    """What all numbers of the book depend on."""
    return sorted(_stored(env, "dl_shape").items()), sorted(env.toc_secnumbers.items())


_number_figures = TocTreeCollector.assign_figure_numbers


def number_figures(collector: TocTreeCollector, env: BuildEnvironment) -> list[str]:
    """Sphinx reads every page of the book to number its figures anew; while nothing is new, they keep their numbers."""
    known = _stored(env, "dl_numbers")  # reading a page anew makes Sphinx forget the numbers on it
    if not changed(env, "numbers", numbered(env)):
        env.toc_fignumbers = {page: dict(numbers) for page, numbers in known.items()}
        return []
    pages = _number_figures(collector, env)
    known.clear()
    known.update({page: dict(numbers) for page, numbers in env.toc_fignumbers.items()})
    return pages


def alone(_: Sphinx, document: nodes.document) -> None:
    """Cut what a node knows of the document that it was parsed in: Sphinx would keep its environment with the page."""
    for node in document.findall():
        if node.document is not document and node is not document:
            node.document = document


_dump = IndexBuilder.dump


def dump(indexer: IndexBuilder, *arguments: Any) -> None:
    """A word that stands on no page any more is no word of the index: two ways to one text lead to one index."""
    for words in (indexer._mapping, indexer._title_mapping):
        for word in [word for word, pages in words.items() if not pages]:
            del words[word]
    _dump(indexer, *arguments)


def setup(app: Sphinx) -> dict[str, bool]:
    TocTreeCollector.assign_figure_numbers = number_figures  # type: ignore[method-assign]
    IndexBuilder.dump = dump  # type: ignore[method-assign]
    app.connect("env-purge-doc", forget)
    app.connect("env-get-outdated", other_inputs)
    app.connect("doctree-read", shape, priority=900)
    app.connect("doctree-read", alone, priority=950)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
