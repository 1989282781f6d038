"""MathJax from an installed package, served by the book itself: nothing is loaded from another host."""

import importlib.util
import shutil
from pathlib import Path

from sphinx.application import Sphinx

SCRIPT = "tex-chtml.js"
FONTS = Path("output", "chtml", "fonts", "woff-v2")


def copy(app: Sphinx, error: Exception | None) -> None:
    """Copy the script and its fonts to where the pages look for them."""
    if error is not None or app.builder.format != "html":
        return
    package = importlib.util.find_spec("mathjax")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).parent / "static" / "mathjax" / "es5"
    target = Path(app.outdir, "_static", "mathjax")
    (target / FONTS).mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / SCRIPT, target / SCRIPT)
    for font in (source / FONTS).glob("*.woff"):
        shutil.copy2(font, target / FONTS / font.name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
