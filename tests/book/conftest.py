"""The finished book: its pages, a server and a browser for them."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tools import chapters

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PLACES = (Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),)


@pytest.fixture(scope="session")
def chromium():
    """The program."""
    found = [path for path in map(shutil.which, NAMES) if path] + [str(path) for path in PLACES if path.exists()]
    if not found:
        pytest.skip("left out: there is no Chromium here (the README names the package)")
    return found[0]


@pytest.fixture(scope="session")
def html():
    """The book as `make book` leaves it; a second run has nothing to do."""
    command = [sys.executable, "-m", "tools.build"]
    ran = subprocess.run(command, cwd=chapters.ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    again = subprocess.run(command, cwd=chapters.ROOT, capture_output=True, text=True, check=False)
    assert again.stdout.startswith("up to date: ")
    return chapters.ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def site(html):
    """Address of the book, served as static hosts do: compressed."""
    app = Starlette(routes=[Mount("/", StaticFiles(directory=html))], middleware=[Middleware(GZipMiddleware)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def browser(chromium):
    """Chromium with no way to any other host."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    cut_off = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=[*flags, cut_off])
        yield running
        running.close()
