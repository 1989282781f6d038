"""Outputs of cells on the page: read again after a new execution, and each figure in a twin for dark pages."""

import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

from dlref.plot import COLOURS
from tools import execute


def executed_again(app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """Pages whose outputs are not those that were read: the page itself need not have changed."""
    old = getattr(env, "dl_executed", {})
    new = {page: run.key for page, run in execute.known(Path(app.srcdir)).items()}
    env.dl_executed = new  # type: ignore[attr-defined]
    return [page for page in new if old.get(page) != new[page] and page in env.found_docs]


class DarkTwins(SphinxTransform):
    """Give each SVG that a cell drew a copy in the colours of dark pages; the theme shows one of the two."""

    default_priority = 400

    def apply(self) -> None:
        if self.app.builder.format != "html":
            return
        for image in list(self.document.findall(nodes.image)):
            path = Path(self.env.relfn2path(image["uri"])[1])
            if path.suffix != ".svg" or "jupyter_execute" not in path.parts or "dl-light" in image["classes"]:
                continue
            twin = dark(path)
            copy = image.copy()
            copy["uri"] = image["uri"].removesuffix(path.name) + twin.name
            copy["candidates"] = {}
            for node, theme in ((image, "dl-light"), (copy, "dl-dark")):
                node["classes"] = [*node["classes"], theme]
                node["loading"] = "lazy"
            image.parent.insert(image.parent.index(image) + 1, copy)


def dark(path: Path) -> Path:
    """Write the dark twin of an SVG beside it."""
    text = path.read_text(encoding="utf8")
    pattern = re.compile("|".join(COLOURS), flags=re.IGNORECASE)
    text = pattern.sub(lambda found: COLOURS[found[0].lower()], text)
    twin = path.with_name(hashlib.sha256(text.encode()).hexdigest()[:32] + "-dark.svg")
    twin.write_text(text, encoding="utf8")
    return twin


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(DarkTwins)
    app.connect("env-get-outdated", executed_again)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
