"""Outputs of cells on the page: read again after a new execution, and each figure in a twin for dark pages.

A page has the frames of its animations as files, which are loaded when the animation comes into view.
"""

import base64
import hashlib
import re
import shutil
from html import unescape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

from tools import chapters, execute
from tools.source import constant


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
            if not image.get("alt"):
                image["alt"] = description(path)
            twin = dark(path)
            copy = image.copy()
            copy["uri"] = image["uri"].removesuffix(path.name) + twin.name
            copy["candidates"] = {}
            for node, theme in ((image, "dl-light"), (copy, "dl-dark")):
                node["classes"] = [*node["classes"], theme]
                node["loading"] = "lazy"
            image.parent.insert(image.parent.index(image) + 1, copy)


def description(path: Path) -> str:
    """What a drawing says of itself."""
    found = re.search(r"<dc:description>(.*?)</dc:description>", path.read_text(encoding="utf8"), flags=re.DOTALL)
    return unescape(found[1]).strip() if found else ""


# to import it would import matplotlib, at every build
COLOURS: dict[str, str] = constant(chapters.ROOT / "dlref" / "plot" / "style.py", "COLOURS")


def dark(path: Path) -> Path:
    """Write the dark twin of an SVG beside it."""
    text = path.read_text(encoding="utf8")
    pattern = re.compile("|".join(COLOURS), flags=re.IGNORECASE)
    text = pattern.sub(lambda found: COLOURS[found[0].lower()], text)
    twin = path.with_name(hashlib.sha256(text.encode()).hexdigest()[:32] + "-dark.svg")
    twin.write_text(text, encoding="utf8")
    return twin


class Frames(SphinxTransform):
    """Take the frames of animations out of the page."""

    default_priority = 400

    def apply(self) -> None:
        if self.app.builder.format != "html":
            return
        up = "../" * self.env.docname.count("/")
        for node in list(self.document.findall(nodes.raw)):
            if node.get("format") == "html" and 'class="dl-animation"' in node.astext():
                text = re.sub(
                    r"data:image/png;base64,([\w+/=]+)", lambda found: up + self._file(found[1]), node.astext()
                )
                node[:] = [nodes.Text(text)]

    def _file(self, data: str) -> str:
        content = base64.b64decode(data)
        path = frames(self.app) / f"{hashlib.sha256(content).hexdigest()[:32]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"_images/{path.name}"


def frames(app: Sphinx) -> Path:
    """Where the frames of all animations are kept from one build to the next."""
    return Path(app.outdir).parent / "jupyter_execute" / "frames"


def copy_frames(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html" and frames(app).exists():
        there = Path(app.outdir, "_images")
        there.mkdir(exist_ok=True)
        for frame in frames(app).iterdir():
            if not (there / frame.name).exists():  # the name is that of the content
                shutil.copy2(frame, there / frame.name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(DarkTwins)
    app.add_transform(Frames)
    app.connect("env-get-outdated", executed_again)
    app.connect("build-finished", copy_frames)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
