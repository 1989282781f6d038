"""Make sphinx-codeautolink link the code of every page that was written, whatever the reason.

It asks for outdated pages when the build begins, before the other extensions here have said which pages have new
outputs or marks; without this a page that is written again for such a reason would lose its links.

A name has several addresses: that of the module that defines it, and those of the packages that take it over. The book
documents it under one of them, to which the others lead.

It also takes every title for that of a section and every section for one that has a title; boxes and exercises have the
one without the other.
"""

import re
from typing import Any

import finish
import sphinx_codeautolink.extension
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.ext import viewcode
from sphinx_codeautolink.extension import SphinxCodeAutoLink
from sphinx_codeautolink.extension.block import CodeBlockAnalyser
from sphinx_codeautolink.extension.resolve import CouldNotResolve, resolve_location
from sphinx_codeautolink.parse import Name

from tools import build, chapters


class Analyser(CodeBlockAnalyser):
    def visit_title(self, node: nodes.title) -> None:
        if isinstance(node.parent, nodes.section):
            super().visit_title(node)

    def depart_section(self, node: nodes.section) -> None:
        if isinstance(node[0], nodes.title):
            super().depart_section(node)


def hand_over(app: Sphinx, _error: Exception | None) -> None:
    for listener in app.events.listeners["build-finished"]:
        owner: Any = getattr(listener.handler, "__self__", None)
        if isinstance(owner, SphinxCodeAutoLink):
            owner.outdated_docs = finish.written(app)


def tables(app: Sphinx, config: Config) -> None:
    """Where a name is documented that its users, or Python itself, know by another one."""
    root = chapters.Path(app.srcdir)
    package, places = chapters.Package(root), {}
    for page in chapters.chapters(root):
        part, name = f"dlref.{page.parent.name}", page.stem
        for public, module in package.exported(f"{part}.{name}").items():
            place = f"{module}.{public}"
            places |= {f"{part}.{public}": place, f"{part}.{name}.{public}": place}
    for shared in ("dlref.data", "dlref.train", "dlref.plot"):
        for public, module in package.exported(shared).items():
            places[f"{module}.{public}"] = f"{shared}.{public}"
    config.codeautolink_inventory_map = {name: place for name, place in places.items() if name != place}


def remembering(app: Sphinx) -> None:
    """Look a name up once; to look it up means to import what it comes from, which takes seconds.

    What was found holds as long as dlref and all versions are the same.
    """
    root, env = chapters.Path(app.srcdir), app.env
    stamp = build.fingerprint(root, ("dlref", "_toc.yml"))
    if getattr(env, "dl_places", ("", {}))[0] != stamp:
        env.dl_places = (stamp, {})  # type: ignore[attr-defined]
    places: dict[tuple[str, ...], str | None] = env.dl_places[1]  # type: ignore[attr-defined]

    def look_up(name: Name, inventory: dict[str, str]) -> str | None:
        key = tuple(map(str, name.import_components))
        if key not in places:
            try:
                places[key] = resolve_location(name, inventory)
            except CouldNotResolve:
                places[key] = None
        if places[key] is None:
            raise CouldNotResolve
        return places[key]

    sphinx_codeautolink.extension.resolve_location = look_up  # type: ignore[assignment]


def without_import(app: Sphinx) -> None:
    """The page of a module's source is asked for its file at every build; that is known without importing it."""
    package, ask = chapters.Package(chapters.Path(app.srcdir)), viewcode.get_module_filename

    def file(application: Sphinx, module: str) -> str | None:
        path = package.path(module)
        return ask(application, module) if path is None else str(path)

    viewcode.get_module_filename = file


def without_flags(_app: Sphinx, _what: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Leave flags of doctests out before anything looks at the code; Sphinx does so only when it writes the page."""
    lines[:] = [re.sub(r" +# doctest:.*$", "", line) for line in lines]


def with_examples(app: Sphinx, _what: str, name: str, _value: object, _options: object, lines: list[str]) -> None:
    """After each docstring, where the book uses the name; the extension's own list would hide a link in a button."""
    if app.builder.format == "html":
        lines += ["", f".. autolink-examples:: {name}", ""]


def public_bases(_app: Sphinx, _name: str, _value: object, _options: object, bases: list[Any]) -> None:
    """A private base has no page to link to; what it is based on has one."""
    while private := [base for base in bases if getattr(base, "__name__", "").startswith("_")]:
        bases[:] = [found for base in bases for found in (base.__bases__ if base in private else [base])]


def setup(app: Sphinx) -> dict[str, bool]:
    sphinx_codeautolink.extension.CodeBlockAnalyser = Analyser  # type: ignore[misc]
    app.connect("config-inited", tables)
    app.connect("builder-inited", remembering)
    app.connect("builder-inited", without_import)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-process-docstring", without_flags)
    app.connect("autodoc-process-docstring", with_examples)
    app.connect("build-finished", hand_over, priority=400)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
