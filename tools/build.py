"""Build the book: execute what is out of date, then let Jupyter Book write the HTML. Nothing to do, nothing done."""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from tools import chapters, execute

MACHINERY = ("_config.yml", "_toc.yml", "book/_ext", "tools")
INPUTS = ("_config.yml", "_toc.yml", "constraints.txt", "CHANGELOG.md", "README.md", "book", "dlref", "tests", "tools")
TEX = (
    "on Debian, apt-get install latexmk texlive-xetex texlive-latex-recommended texlive-latex-extra "
    "texlive-fonts-recommended texlive-plain-generic tex-gyre fonts-freefont-otf lmodern xindy; on macOS, MacTeX"
)
PDF = Path("_build", "book.pdf")
TESTS = Path("_build", "tests.json")
MEMORY = Path("_build", "memory.txt")


def fingerprint(root: Path, inputs: tuple[str, ...] = INPUTS) -> str:
    """Hash of the versions and of files, by default of everything that the pages are made from."""
    digest = hashlib.sha256(chapters.versions().encode())
    files: list[Path] = []
    for path in [root / name for name in inputs]:
        files += (
            sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
            if path.is_dir()
            else [path]
        )
    for path in files:
        if path.exists():
            digest.update(b"\0" + path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def tested(root: Path) -> str:
    """How many tests passed the last time that all were run, if that was on what the book is made from now."""
    if not (root / TESTS).exists():
        return ""
    known = json.loads((root / TESTS).read_text(encoding="utf8"))
    return f"{known['passed']} ({known['skipped']} left out)" if known["fingerprint"] == fingerprint(root) else ""


def build(root: Path, builder: str = "html") -> int:
    """Build, unless all is as it was; the exit status of a command line. A second build waits for the first."""
    (root / "_build").mkdir(exist_ok=True)
    with FileLock(root / "_build" / ".lock"):
        return _build(root, builder)


def _build(root: Path, builder: str) -> int:
    before = fingerprint(root) + tested(root)
    if builder == "html" and (root / PDF).exists():
        before += hashlib.sha256((root / PDF).read_bytes()).hexdigest()  # it becomes part of the site
    stamp = root / "_build" / f"{builder}.stamp"
    index = root / "_build" / {"html": "html/index.html", "pdflatex": PDF.name}[builder]
    if stamp.exists() and stamp.read_text() == before and index.exists():
        print(f"up to date: {index}")
        return 0
    if builder == "pdflatex" and not (shutil.which("latexmk") and shutil.which("xelatex")):
        print(f"make pdf needs TeX: {TEX}", file=sys.stderr)
        return 1
    stamp.unlink(missing_ok=True)
    failures = execute.execute(root)
    if failures:
        print("\n".join(["", *failures]), file=sys.stderr)
        return 1
    command = ["build", str(root), "-W", "-n", "--keep-going", "-q", "--builder", builder]
    machinery = root / "_build" / f"{builder}.machinery"
    if not machinery.exists() or machinery.read_text() != fingerprint(root, MACHINERY):
        command.append("--all")  # a page that has not changed may come out differently
        if builder == "html":
            shutil.rmtree(root / "_build" / "html", ignore_errors=True)
    if builder == "pdflatex":  # in a folder of its own: pages read for HTML have figures for dark screens
        command += ["--path-output", str(root / "_build" / "pdf")]
    # TeX is to stop at an error rather than ask, and not to break the lines of its log
    os.environ |= {"LATEXOPTS": "-interaction=nonstopmode -halt-on-error", "max_print_line": "10000"}
    status = _jupyter_book(command, root)
    if status == 0:
        _note_memory(root)
        machinery.write_text(fingerprint(root, MACHINERY))
        if builder == "pdflatex":
            shutil.copy2(root / "_build" / "pdf" / "_build" / "latex" / "book.pdf", index)
        stamp.write_text(before)
        print(f"built: {index}")
    return status


def _note_memory(root: Path) -> None:
    """Keep the most memory that a build has taken since the last `make clean`, in bytes."""
    with contextlib.suppress(ModuleNotFoundError):  # Windows
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        known = int((root / MEMORY).read_text()) if (root / MEMORY).exists() else 0
        (root / MEMORY).write_text(str(max(peak, known)))


def _jupyter_book(command: list[str], root: Path) -> int:
    """Call Jupyter Book; here, since a second Python would have to import everything once more."""
    from jupyter_book.cli.main import main  # a build with nothing to do need not wait for it

    sys.path[:0] = [str(root)]
    try:
        with contextlib.chdir(root):
            main(command, standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    except Exception as error:  # noqa: BLE001  Jupyter Book's way of saying that Sphinx has failed
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=chapters.ROOT)
    parser.add_argument("--builder", default="html", choices=["html", "pdflatex"])
    options = parser.parse_args()
    sys.exit(build(options.root.resolve(), options.builder))
