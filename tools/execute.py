"""Execute the pages whose outputs are out of date, several at a time, and keep the outputs for Sphinx.

A page is out of date when its cells, a module of dlref that they use (all the way down) or a version has changed since
it last ran without an error. A page that failed has no outputs, so it runs again the next time.
"""

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from nbclient import NotebookClient
from tqdm import tqdm

from tools import chapters

# A kernel here serves one page on this machine and need not warn that its local port is not encrypted; times would
# enter the metadata of the cells, by which the cache finds a notebook.
OPTIONS = {"extra_arguments": ["--IPKernelApp.log_level=40"], "record_timing": False}
FONTS = chapters.ROOT / "_build" / "matplotlib"
TIMEOUT = 600  # seconds a cell may take; a chapter is meant to take 20


@dataclass
class Run:
    """What is known of the last good execution of a page; ``times`` are the seconds of each code cell."""

    key: str
    seconds: float
    cells: int
    device: str = ""
    times: list[float] = field(default_factory=list)
    outputs: str = ""  # the name by which the cache knows them
    text: str = ""  # hash of the page
    memory: int = 0  # the most that its kernel held, in bytes


def manifest(root: Path) -> Path:
    """The file that says which outputs are up to date."""
    return root / "_build" / "executed.json"


def known(root: Path) -> dict[str, Run]:
    """Page, relative to the root and without its suffix, to its last good execution."""
    path = manifest(root)
    return {page: Run(**run) for page, run in json.loads(path.read_text()).items()} if path.exists() else {}


@contextmanager
def outputs(root: Path) -> Iterator[JupyterCacheBase]:
    """The cache from which Sphinx takes the outputs."""
    cache = get_cache(root / "_build" / ".jupyter_cache")
    try:
        yield cache
    finally:
        cache.db.dispose()


def stale(root: Path) -> dict[str, str]:
    """Pages that must run, each with its new key."""
    done, package, environment = known(root), chapters.Package(root), chapters.versions()
    waiting = {}
    with outputs(root) as cache:
        kept = {folder.name for folder in Path(cache.path, "executed").glob("*")}  # type: ignore[attr-defined]
        kept &= {record.hashkey for record in cache.list_cache_records()}
        for page in chapters.executable(root):
            name = page.relative_to(root).with_suffix("").as_posix()
            key = chapters.key(page, package, environment)
            if name not in done or done[name].key != key or done[name].outputs not in kept:
                waiting[name] = key
    return waiting


def execute(root: Path, jobs: int | None = None) -> list[str]:
    """Run what is out of date; return a message for each page that failed, naming file and cell."""
    done, waiting = known(root), stale(root)
    jobs = jobs or os.cpu_count() or 1
    device = _device() if waiting else ""
    failures: list[str] = []
    with (
        outputs(root) as cache,
        _environment(root),
        ThreadPoolExecutor(jobs) as pool,
        tqdm(total=len(waiting), unit="chapter", disable=not waiting) as bar,
    ):
        if waiting:
            _list_fonts()
        futures: dict[Future, str] = {pool.submit(_run, root / f"{page}.md"): page for page in waiting}
        _reword(root, cache, {page: run for page, run in done.items() if page not in waiting})
        _write(root, done)
        for future in as_completed(futures):
            page = futures[future]
            notebook, times, seconds, memory, failure = future.result()
            if failure:
                failures.append(failure)
                done.pop(page, None)
            else:
                text = chapters.fingerprint(root / f"{page}.md")
                name = _keep(cache, root / f"{page}.md", notebook, seconds)
                done[page] = Run(waiting[page], round(seconds, 2), len(times), device, times, name, text, memory)
            _write(root, done)
            bar.set_postfix_str(page.removeprefix("book/") + (" FAILED" if failure else f" {seconds:.1f} s"))
            bar.update()
    _table(root, done, waiting)
    return sorted(failures)


def _keep(cache: JupyterCacheBase, page: Path, notebook: nbformat.NotebookNode, seconds: float) -> str:
    """Put the outputs of a page where Sphinx looks for them; the name by which the cache knows them."""
    bundle = CacheBundleIn(notebook, str(page), data={"execution_seconds": seconds})
    return cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True).hashkey


def _reword(root: Path, cache: JupyterCacheBase, done: dict[str, Run]) -> None:
    """Hand outputs on to a page whose code is the same but whose words, or captions, are others."""
    records = {record.hashkey: record.pk for record in cache.list_cache_records()}
    for name, run in done.items():
        page = root / f"{name}.md"
        if not page.is_file() or run.text == (text := chapters.fingerprint(page)):
            continue
        notebook = chapters.read(page)
        executed = cache.get_cache_bundle(records[run.outputs]).nb
        notebook.metadata = {**executed.metadata, **notebook.metadata}  # the kernel says which language it speaks
        old = [cell for cell in executed.cells if cell.cell_type == "code"]
        new = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for cell, known_cell in zip(new, old, strict=True):
            cell.outputs, cell.execution_count = known_cell.outputs, known_cell.execution_count
        run.outputs, run.text = _keep(cache, page, notebook, run.seconds), text


def run(page: Path, root: Path) -> tuple[nbformat.NotebookNode, str | None]:
    """Execute one page as for the book, whether it is out of date or not, and keep nothing."""
    with _environment(root):
        notebook, *_, failure = _run(page)
    return notebook, failure


def glued(root: Path, page: Path) -> dict[str, Any]:
    """Name to value of all that the cells of an executed page have glued."""
    with outputs(root) as cache:
        _, notebook = cache.merge_match_into_notebook(chapters.read(page))
    prefix, values = "application/papermill.record/", {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name is not None:
                data = {kind.removeprefix(prefix): value for kind, value in output["data"].items()}
                values[name] = ast.literal_eval(data["text/plain"])
    return values


def _list_fonts() -> None:
    """Let Matplotlib list the fonts of this machine once, for all kernels: one that has to would say so on its page."""
    if not list(FONTS.glob("fontlist*.json")):
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)


def _device() -> str:
    """What the pages run on, in words."""
    import torch  # here, so that a build with nothing to do need not wait for it

    from dlref.device import device

    if device().type == "cuda":
        return torch.cuda.get_device_name()
    return {"cpu": "CPU, 1 thread", "mps": "Apple GPU"}[device().type]


def _run(page: Path) -> tuple[nbformat.NotebookNode, list[float], float, int, str | None]:
    """Execute one page in a kernel of its own, in an empty folder; also the seconds of each cell and of all, memory."""
    memory = 0
    notebook = chapters.read(page)
    began: dict[int, float] = {}
    times: dict[int, float] = {}

    def start_cell(*, cell_index: int, **_: object) -> None:
        began[cell_index] = time.perf_counter()

    def end_cell(*, cell_index: int, **_: object) -> None:
        if cell_index in began:
            times[cell_index] = round(time.perf_counter() - began[cell_index], 2)
            nonlocal memory
            memory = max(memory, _peak(client))

    options = {**OPTIONS, "on_cell_execute": start_cell, "on_cell_executed": end_cell}
    lines = list(notebook.metadata.get("source_map", []))
    error: Exception | None
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": folder}}, **options)
            asyncio.run(client.async_execute())
            error = None
        except Exception as crash:  # noqa: BLE001  a kernel that dies must not take the other chapters with it
            error = crash
    seconds = time.perf_counter() - start
    if error is None:
        message = _complaint(page, notebook, lines)
        return notebook, list(times.values()), seconds, memory, message
    number, line, trace = _where(notebook, lines)
    message = f"{page}:{line}: code cell {number} failed: {trace or error}"
    return notebook, list(times.values()), seconds, memory, message


def _complaint(page: Path, notebook: nbformat.NotebookNode, lines: list[int]) -> str | None:
    """What the first cell that wrote to the standard error said there; Sphinx would say only that one did."""
    number = 0
    for index, cell in enumerate(notebook.cells):
        number += cell.cell_type == "code"
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                line = lines[index] if index < len(lines) else 0
                return f"{page}:{line}: code cell {number} wrote to stderr: {output.text.strip()}"
    return None


def _peak(client: NotebookClient) -> int:
    """The most memory that a kernel has held, in bytes; where the system does not keep that, what it holds now."""
    try:
        kernel = psutil.Process(client.km.provisioner.pid)  # type: ignore[union-attr]
        status = Path("/proc", str(kernel.pid), "status")
        if status.exists():
            return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])  # type: ignore[index]
        return kernel.memory_info().rss
    except (psutil.Error, OSError, TypeError):  # a kernel that has died holds nothing
        return 0


def _where(notebook: nbformat.NotebookNode, lines: list[int]) -> tuple[int, int, str]:
    """The number among the code cells, the line and the error of the cell that raised, or of the last one begun."""
    number = last = line = 0
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        number += 1
        if cell.get("execution_count") or cell.get("outputs"):
            last, line = number, lines[index] if index < len(lines) else 0
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return number, line, f"{output.ename}: {output.evalue}"
    return last, line, ""


class _environment:  # noqa: N801  used as a context
    """What the kernels inherit: one thread each, so that numbers do not depend on how many run; dates that stay."""

    _lock = threading.Lock()

    def __init__(self, root: Path) -> None:
        self.new = {
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # whatever the caller's is
            "MPLCONFIGDIR": str(FONTS),  # the same for settings and for the list of fonts
            "SOURCE_DATE_EPOCH": "0",
            "PYTHONPATH": os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            # the heap keeps what large tensors give back (of glibc's; others do not read these): where a virtual
            # machine has to be asked for each page of memory anew, that can cost more than a convolution
            "MALLOC_MMAP_THRESHOLD_": str(2**25),
            "MALLOC_TRIM_THRESHOLD_": str(2**32),
        }

    def __enter__(self) -> None:
        self._lock.acquire()
        self.old = {name: os.environ.get(name) for name in self.new}
        os.environ.update(self.new)

    def __exit__(self, *error: object) -> None:
        for name, value in self.old.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        self._lock.release()


def _write(root: Path, done: dict[str, Run]) -> None:
    path = manifest(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({page: asdict(run) for page, run in sorted(done.items())}, indent=1))
    part.replace(path)


def _table(root: Path, done: dict[str, Run], ran: dict[str, str]) -> None:
    pages = [page.relative_to(root).with_suffix("").as_posix() for page in chapters.executable(root)]
    width = max(map(len, pages), default=0)
    for page in pages:
        run = done.get(page)
        state = "failed" if run is None else "executed" if page in ran else "unchanged"
        where = "" if run is None or not run.device or run.device.startswith("CPU") else f" on {run.device}"
        print(f"{page:<{width}}  {'-' if run is None else f'{run.seconds:.1f} s':>8}  {state}{where}")
    print(f"{'total':<{width}}  {sum(done[p].seconds for p in pages if p in done):>6.1f} s")


if __name__ == "__main__":
    messages = execute(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else chapters.ROOT)
    sys.exit("\n".join(messages) if messages else 0)
