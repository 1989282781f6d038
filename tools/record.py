"""Long runs: ``make record NAME=resnet_degradation`` makes ``book/records/NAME/record.json`` and its pictures.

The folder of a record holds ``run.py`` (``data()``, what it is trained on; ``first(steps)``, the losses of its first
steps; ``run()``, all of it, as numbers) and ``page.py`` (``draw(numbers)``, the pictures; ``check(numbers)``, what the
page says of them, as assertions). A record is out of date when ``run.py`` or the data have changed since it ran.
"""

import argparse
import datetime
import hashlib
import importlib
import importlib.metadata
import json
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tools import chapters

FOLDER = Path("book/records")
STEPS = 10


def names(root: Path = chapters.ROOT) -> list[str]:
    """The records there are."""
    return sorted(path.parent.name for path in (root / FOLDER).glob("*/run.py"))


def load(name: str, root: Path = chapters.ROOT) -> dict[str, Any]:
    """What a run left."""
    return json.loads((root / FOLDER / name / "record.json").read_text(encoding="utf8"))


def script(name: str, file: str) -> ModuleType:
    """``run`` or ``page`` of a record."""
    return importlib.import_module(f"book.records.{name}.{file}")


def of_file(path: Path) -> str:
    """Hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def of_data(arrays: dict[str, np.ndarray]) -> str:
    """Hash of what a run is trained on: names, types, shapes and values."""
    digest = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        digest.update(f"{key} {array.dtype} {array.shape}\0".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def outdated(name: str, root: Path = chapters.ROOT) -> list[str]:
    """What has changed since the record ran: the script, the data; nothing if it is up to date."""
    if not (root / FOLDER / name / "record.json").is_file():
        return ["there is no record.json"]
    kept = load(name, root)
    now = {"script": of_file(root / FOLDER / name / "run.py"), "data": of_data(script(name, "run").data())}
    return [what for what, value in now.items() if kept[what] != value]


def undrawn(name: str, root: Path = chapters.ROOT) -> bool:
    """Whether the pictures are older than what draws them, or than the numbers."""
    return load(name, root).get("drawn") != _drawing(root / FOLDER / name)


def _drawing(folder: Path) -> str:
    numbers = json.dumps(load(folder.name, folder.parents[2])["numbers"], sort_keys=True)
    return of_file(folder / "page.py") + hashlib.sha256(numbers.encode()).hexdigest()[:16]


def words(name: str, root: Path = chapters.ROOT) -> dict[str, str]:
    """What the sentences of a page say of it."""
    return script(name, "page").words(load(name, root)["numbers"])


def checks(name: str, root: Path = chapters.ROOT) -> list[str]:
    """Names of the sentences that its assertions hold."""
    return chapters.checks_in((root / FOLDER / name / "page.py").read_text(encoding="utf8"))


def about(name: str, root: Path = chapters.ROOT) -> str:
    """How long a run took, on what, when, from which seeds."""
    kept = load(name, root)
    where = {"cpu": "the CPU", "cuda": "a GPU"}.get(kept["device"], kept["device"])
    seeds = ", ".join(map(str, kept["numbers"]["seeds"]))
    return (
        f"A record: it ran {round(kept['seconds'] / 60)} minutes on {where} in {kept['processes']} processes, "
        f"on {kept['date']}, with torch {kept['versions']['torch']}, seeds {seeds}. "
        f"`make record NAME={name}` runs it again if its script or its data have changed."
    )


def shown(page: Path) -> list[str]:
    """The records that a page shows, one for each of their pictures."""
    return re.findall(r"^```\{record\} (\w+)", page.read_text(encoding="utf8"), flags=re.MULTILINE)


def make(name: str, root: Path = chapters.ROOT) -> None:
    """Run what is out of date; draw what is."""
    folder = root / FOLDER / name
    if changed := outdated(name, root):
        print(f"{name}: {', '.join(changed)}; it runs", flush=True)
        module, began = script(name, "run"), time.monotonic()
        numbers = module.run()
        seconds = time.monotonic() - began
        from dlref.device import device

        packages = ("torch", "numpy", "dlref")
        result = {
            "script": of_file(folder / "run.py"),
            "data": of_data(module.data()),
            "device": device().type,
            "processes": module.PROCESSES,
            "seconds": round(seconds),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": {package: importlib.metadata.version(package) for package in packages},
            "first": module.first(STEPS),
            "numbers": numbers,
        }
        _write(folder, result)
    if undrawn(name, root):
        draw(name, root)
    print(f"{name}: up to date")


def draw(name: str, root: Path = chapters.ROOT) -> None:
    """Check what the page says, and write the pictures, for pages and for print."""
    from dlref import plot

    folder, page = root / FOLDER / name, script(name, "page")
    numbers = load(name, root)["numbers"]
    page.check(numbers)
    plot.style()
    for stem, figure in page.draw(numbers).items():
        figure.savefig(folder / f"{stem}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{stem}.pdf", metadata={"CreationDate": None})
    _write(folder, load(name, root) | {"drawn": _drawing(folder)})


def _write(folder: Path, result: dict[str, Any]) -> None:
    part = folder / "record.json.part"
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    part.replace(folder / "record.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make record NAME=...")
    parser.add_argument("name", choices=names())
    make(parser.parse_args().name)
    sys.exit(0)
