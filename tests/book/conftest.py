"""The finished book: its pages, a server and a browser for them."""

import shutil
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright
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
    ran = subprocess.run(command, cwd=chapters.ROOT, capture_output=True, text=True, check=False, timeout=3000)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    again = subprocess.run(command, cwd=chapters.ROOT, capture_output=True, text=True, check=False, timeout=300)
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
    thread.join(30)


LIMIT = 240  # seconds that a test may keep a browser waiting; the slowest takes a sixth of that on a quiet machine


class Browser:
    """Chromium with no way to any other host; started again when it has died, or when it no longer answers."""

    def __init__(self, playwright, program):
        self.playwright, self.program = playwright, program
        self.mark = f"--dlref-browser={uuid.uuid4().hex}"  # by which its process is found
        self.running = None

    def new_context(self, **options):
        """A visitor. Its waits end by themselves, but for those in JavaScript, which only :func:`watched` ends."""
        if self.running is None or not self.running.is_connected():
            flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
            cut_off = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            self.running = self.playwright.chromium.launch(
                executable_path=self.program, args=[*flags, cut_off, self.mark], timeout=60_000
            )
        context = self.running.new_context(**options)
        context.set_default_timeout(30_000)
        context.set_default_navigation_timeout(60_000)
        return context

    def processes(self, kind):
        """Those of its processes that have this word in their command."""
        command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,command="]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = [line.split(maxsplit=2) for line in listed.splitlines()]
        own = {pid for pid, _, command in rows if self.mark in command}
        while more := {pid for pid, parent, _ in rows if parent in own} - own:
            own |= more
        return [pid for pid, _, command in rows if pid in own and kind in command]

    def kill(self):
        """End it as a crash would; every call that waits for it raises."""
        subprocess.run(["pkill", "-KILL", "-f", "--", self.mark], check=False)

    def close(self):
        if self.running is not None and self.running.is_connected():
            self.running.close()


@pytest.fixture(scope="session")
def browser(chromium):
    """One browser for all tests of a process."""
    with sync_playwright() as playwright:
        browser = Browser(playwright, chromium)
        yield browser
        browser.close()


@contextmanager
def watched(browser, limit=LIMIT, **options):
    """A visitor; when the browser has not answered for so long, it is killed, and the error says on which pages."""
    context = browser.new_context(**options)
    pages = []
    context.on("page", lambda page: page.on("framenavigated", lambda frame: pages.append(frame.url)))
    late = threading.Event()
    timer = threading.Timer(limit, lambda: (late.set(), browser.kill()))
    timer.start()
    error = None
    try:
        yield context
    except PlaywrightError as raised:
        error = raised
    finally:
        timer.cancel()
        died = not browser.running.is_connected()
        with suppress(PlaywrightError):  # it may be dead
            context.close()
    if late.is_set():
        raise TimeoutError(f"the browser gave no answer for {limit} s; pages: {pages}") from error
    if died:
        raise RuntimeError(f"the browser died; pages: {pages}") from error
    if error is not None:
        raise error
