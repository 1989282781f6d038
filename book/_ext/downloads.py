"""Buttons of a page: its notebook to download, and, once the repository's address is known, where to run and edit it.

The address is ``repository: url`` in ``_config.yml``; while it is empty there is no button that needs it.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from sphinx.application import Sphinx
from sphinx.config import Config

from tools import chapters, notebooks

BRANCH = "notebooks"  # where publishing puts the notebooks


def buttons(_: Sphinx, config: Config) -> None:
    """Switch on what links to the repository, if there is one."""
    options = config["html_theme_options"]
    for name in ("use_repository_button", "use_edit_page_button", "use_issues_button"):
        options[name] = bool(options.get("repository_url"))


def notebook(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: object) -> None:
    """Write the notebook of a chapter to where the theme's button looks for it."""
    root = Path(app.srcdir)
    path = root / f"{page}.md"
    if doctree is None or path not in chapters.chapters(root):
        return
    repository = app.config["html_theme_options"].get("repository_url", "")
    target = Path(app.outdir, "_sources", f"{page}.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebooks.convert(path, root, repository), target)
    context["ipynb_source"] = f"{page}.ipynb"


def launch(app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Colab and Binder, for chapters of a book whose repository they can read."""
    address = re.fullmatch(
        r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?",
        app.config["html_theme_options"].get("repository_url", ""),
    )
    if not address or not context.get("ipynb_source"):
        return
    owner, name = address.groups()
    path = f"{page.removeprefix('book/')}.ipynb"
    places = {
        "Colab": f"https://colab.research.google.com/github/{owner}/{name}/blob/{BRANCH}/{path}",
        "Binder": f"https://mybinder.org/v2/gh/{owner}/{name}/{BRANCH}?labpath={quote(path, safe='')}",
    }
    links = [
        {"type": "link", "text": where, "tooltip": f"Run on {where}", "url": url, "icon": "fas fa-play",
         "label": f"launch-{where.lower()}"}
        for where, url in places.items()
    ]  # fmt: skip
    group = {"type": "group", "tooltip": "Run this page", "icon": "fas fa-rocket", "buttons": links}
    context["header_buttons"].insert(0, {**group, "label": "launch-buttons"})


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", buttons)
    app.connect("html-page-context", notebook, priority=400)  # before the theme makes its buttons
    app.connect("html-page-context", launch, priority=600)  # after
    return {"parallel_read_safe": True, "parallel_write_safe": True}
