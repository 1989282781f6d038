"""Serve the book on this machine, and build it again, as `make book` does, when a page, a module or a test changes."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import uvicorn
from sphinx_autobuild.filter import IgnoreFilter
from sphinx_autobuild.middleware import JavascriptInjectorMiddleware
from sphinx_autobuild.server import RebuildServer
from sphinx_autobuild.utils import find_free_port
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tools import build, chapters

HIDDEN = ("_build", ".venv", ".git", ".pytest_cache", ".ruff_cache", ".hypothesis", "mutants")


def build_again(root: Path, changed_paths: Sequence[Path] = ()) -> None:
    """Build in a process of its own: what it has imported may be what has changed."""
    for path in changed_paths:
        print(f"changed: {path}")
    subprocess.run([sys.executable, "-m", "tools.build", str(root)], cwd=chapters.ROOT, check=False)


def main(root: Path, port: int | None) -> None:
    """Build once, then watch."""
    build_again(root)
    host = f"127.0.0.1:{port or find_free_port()}"
    watched = [root / name for name in build.INPUTS if (root / name).exists()]
    ignored = IgnoreFilter([root / name for name in HIDDEN], [])
    watcher = RebuildServer(watched, ignored, change_callback=partial(build_again, root))  # called in another process
    app = Starlette(
        routes=[
            WebSocketRoute("/websocket-reload", watcher, name="reload"),
            Mount("/", app=StaticFiles(directory=root / "_build" / "html", html=True, check_dir=False)),
        ],
        middleware=[Middleware(JavascriptInjectorMiddleware, ws_url=host)],
        lifespan=watcher.lifespan,
    )
    print(f"http://{host}", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=int(host.rpartition(":")[2]), log_level="warning")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=chapters.ROOT)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    main(options.root.resolve(), options.port)
