"""Serve the book on this machine and build it again whenever a page, a module or a test changes."""

import os
import subprocess
import sys

from sphinx_autobuild.__main__ import main as serve

from tools import chapters


def main() -> None:
    """Build once, then watch; pages whose cells or modules changed are executed before Sphinx reads them."""
    root = chapters.ROOT
    subprocess.run([sys.executable, "-m", "tools.build"], cwd=root, check=False)
    # Jupyter Book keeps Sphinx's configuration to itself until it is asked for it, and names the folder of the local
    # extensions nowhere in it
    conf = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "config", "sphinx", str(root)]
    subprocess.run(conf, cwd=root, check=True)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "book" / "_ext")])
    watched = [flag for folder in ("dlref", "tests") for flag in ("--watch", str(root / folder))]
    before = ["--pre-build", f"{sys.executable} -m tools.execute"]
    ignored = [flag for pattern in ("_build", ".venv", ".git") for flag in ("--ignore", f"{root / pattern}/*")]
    try:
        serve([str(root), str(root / "_build" / "serve"), *watched, *ignored, *before])
    finally:
        (root / "conf.py").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
