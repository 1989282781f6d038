"""What the theme leaves undone on each page.

A description for search engines, no script of another host or of no use, names and roles that assistive technology
needs. The last can only be mended in the finished HTML; each repair says what is wrong there.
"""

import functools
import hashlib
import os
import pickle
import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx

REPAIRS = [
    # scripts can wait until the page is there; the one that a line of the page needs at once stands in the page
    (r'<script(?: async="async")? (?=[^>]*src=")(?![^>]*\bdefer\b)', "<script defer "),
    # icons come from the style sheet and its font; this script would draw them once more, for half a megabyte
    (r'<script[^>]*/scripts/fontawesome\.js[^>]*></script>\s*', ""),
    # thebe runs cells on another host; it is off, and still every page declares it, twice
    (r"<script>const THEBE_JS_URL[^\n]*</script>\s*", ""),
    (r"<script[^>]*/sphinx-thebe\.js[^>]*></script>\s*", ""),
    (r"<link[^>]*/sphinx-thebe\.css[^>]*>\s*", ""),
    (r'<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName = [^<]*</script>\s*', ""),
    # the button that opens a chapter's sections has only a picture
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Show what is within">'),
    # the button says "Search Ctrl+K"; its tooltip would call it "Search"
    (r'(<button class="btn search-button-field[^"]*")[^>]*>', r"\1>"),
    # the title of the book stands outside all landmarks
    (r'<div class="sidebar-primary-item">(?=\s*<a class="navbar-brand)',
     '<div class="sidebar-primary-item" role="navigation" aria-label="Front page">'),
    # a role that ARIA 1.2 has given up, inside a list that then has no items
    (r' role="doc-biblioentry"', ' role="listitem"'),
    # the corner of a table is the header of nothing
    (r"<th></th>", "<td></td>"),
    # the parameters of a signature, one a line, are no definitions of anything
    (r"<dl>\n((?:<dd>.*?</dd>\n?)+)</dl>", lambda found: '<span class="sig-lines">'
     + found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>") + "</span>"),
]  # fmt: skip


def describe(_: Sphinx, __: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """The first paragraph of a page is its description."""
    paragraph = next(iter(doctree.findall(nodes.paragraph)), None) if doctree is not None else None
    text = paragraph.astext() if paragraph is not None else f"{context.get('title', '')}: a page of the book."
    text = " ".join(re.sub(r"<.*?>", "", text).split())
    context["metatags"] = context.get("metatags", "") + f'\n<meta name="description" content="{escape(text[:300])}">'


def written(app: Sphinx) -> set[str]:
    """The pages that this build has written."""
    if not hasattr(app, "dl_written"):
        app.dl_written = set()  # type: ignore[attr-defined]
    return app.dl_written  # type: ignore[attr-defined]


def remember(app: Sphinx, page: str, *_: object) -> None:
    written(app).add(page)


def repair(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for page in sorted(written(app)):
        path = Path(app.builder.get_outfilename(page))  # type: ignore[attr-defined]
        text = path.read_text(encoding="utf8")
        text = _with_options_inline(text, path)
        for pattern, new in REPAIRS:
            text = re.sub(pattern, new, text, flags=re.DOTALL)
        path.write_text(_with_sizes(text, path), encoding="utf8")
    for template in Path(app.outdir, "_static").glob("*webpack-macros.html"):
        template.unlink()  # a part of the theme, and no page


def bundle(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    scripts = [path for path in out.rglob("*.js") if path.name != "fontawesome.js"]
    icons = {icon for path in scripts for icon in _icons(path)}
    if not hasattr(app.env, "dl_icons"):
        app.env.dl_icons = {}  # type: ignore[attr-defined]
    known: dict[str, list[str]] = app.env.dl_icons  # type: ignore[attr-defined]
    for page in written(app):
        known[page] = _icons(Path(app.builder.get_outfilename(page)))  # type: ignore[attr-defined]
    icons |= {icon for page in known.values() for icon in page}
    for page in sorted(written(app)):
        path = Path(app.builder.get_outfilename(page))  # type: ignore[attr-defined]
        path.write_text(_one_style_sheet(path.read_text(encoding="utf8"), path, out, icons), encoding="utf8")


def _icons(path: Path) -> list[str]:
    """The names of icons that a file has."""
    return sorted(set(re.findall(r"fa-[\w-]+", path.read_text(encoding="utf8"))))


def _one_style_sheet(text: str, page: Path, out: Path, icons: set[str]) -> str:
    """Put the style sheets of a page into one: a phone waits for each before it shows anything."""
    links = list(re.finditer(r'<link (?=[^>]*rel="stylesheet")[^>]*href="([^":]*)"[^>]*>\s*', text))
    sheets = [(page.parent / link[1].partition("?")[0]).resolve() for link in links]
    content = "\n".join(_style(sheet, out / "_static") for sheet in sheets)
    content = re.sub(r'((?:\.fa-[\w-]+:before,?)+)\{content:"[^"]*"\}', lambda f: _if_used(f, icons), content)
    sheet = out / "_static" / f"style-{hashlib.sha256(content.encode()).hexdigest()[:16]}.css"
    sheet.write_text(content, encoding="utf8")
    for link in reversed(links):
        text = text[: link.start()] + text[link.end() :]
    address = os.path.relpath(sheet, page.parent).replace(os.sep, "/")
    return text.replace("</title>", f'</title>\n<link rel="stylesheet" href="{address}">', 1)


def _if_used(rule: re.Match, icons: set[str]) -> str:
    """Of the theme's two thousand icons, those that the book has."""
    return rule[0] if icons & set(re.findall(r"fa-[\w-]+", rule[1])) else ""


def _with_options_inline(text: str, page: Path) -> str:
    """Put the few lines of the one script that cannot wait into the page."""

    def script(found: re.Match) -> str:
        return f"<script>{(page.parent / found[1]).read_text(encoding='utf8').strip()}</script>"

    return re.sub(r'<script src="([^"]*/documentation_options\.js)[^"]*"></script>', script, text)


@functools.cache
def _style(sheet: Path, target: Path) -> str:
    """A style sheet with those that it imports in place, and addresses as seen from another folder."""

    def address(found: re.Match) -> str:
        path, mark, rest = re.match(r"([^?#]*)([?#]?)(.*)", found[2]).groups()  # type: ignore[union-attr]
        return f"url({os.path.relpath(sheet.parent / path, target).replace(os.sep, '/')}{mark}{rest})"

    text = sheet.read_text(encoding="utf8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    imports = re.findall(r"""@import\s+(?:url\()?["']?([^"')]+)["']?\)?\s*;""", text)
    text = re.sub(r"@import[^;]*;|@charset[^;]*;", "", text)
    text = re.sub(r"""url\((["']?)(?!data:|https?:|#)([^"')]+)\1\)""", address, text)
    return "".join(_style(sheet.parent / name, target) for name in imports) + text


def _with_sizes(text: str, page: Path) -> str:
    """Give drawings their size, so that the page need not move when they come."""

    def image(found: re.Match) -> str:
        head = (page.parent / found[2]).read_text(encoding="utf8")[:2000]
        size = re.search(r'<svg[^>]*\bwidth="([\d.]+)pt" height="([\d.]+)pt"', head)
        if size is None:
            return found[0]
        width, height = (round(float(points) * 4 / 3) for points in size.groups())
        return f'<img width="{width}" height="{height}" {found[1]}'

    return re.sub(r'<img (?![^>]*\bwidth=)([^>]*src="([^"]*_images/[^"]*\.svg)")', image, text)


def keep(app: Sphinx, error: Exception | None) -> None:
    """Keep what is known of each page once it is written; Sphinx saves its environment before that.

    Without this the next build, which writes few pages, would forget what the search knows of all others.
    """
    if error is None and app.builder.format == "html":
        with Path(app.doctreedir, ENV_PICKLE_FILENAME).open("wb") as file:
            pickle.dump(app.env, file, pickle.HIGHEST_PROTOCOL)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", describe)
    app.connect("html-page-context", remember)
    # before sphinx-codeautolink writes the pages anew, with the attributes of each element in another order
    app.connect("build-finished", repair, priority=300)
    app.connect("build-finished", bundle, priority=900)  # when all extensions have written their style sheets
    app.connect("build-finished", keep, priority=950)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
