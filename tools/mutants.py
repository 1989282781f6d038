"""Plant faults in a module (mutmut), run its tests on each, and keep the score of every module in tests/mutants.md.

A fault that no test notices is *surviving*, unless tests/mutants.yml says why it is no fault at all (*equivalent*).
"""

import argparse
import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from mutmut.stats import status_by_exit_code

from tools.chapters import ROOT

RESULTS, REASONS, TABLE = (ROOT / "tests" / f"mutants.{suffix}" for suffix in ("json", "yml", "md"))

SETTINGS = """
[tool.mutmut]
source_paths = ["dlref"]
only_mutate = ["{module}"]
also_copy = ["tests", "tools", "README.md", "data-packages.txt", "pyproject.toml"]
pytest_add_cli_args = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not own_process"]
pytest_add_cli_args_test_selection = ["{tests}"]
process_isolation = "forkserver"
timeout_constant = 30.0
use_git_change_detection = false
"""


def tests_of(module: str) -> str:
    """The test file of a module: its mirror, or the one whose docstring names it."""
    path = Path(module)
    mirror = Path("tests", *path.parts[1:-1], f"test_{path.name}")
    if (ROOT / mirror).exists():
        return mirror.as_posix()
    for candidate in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.stem in (ast.get_docstring(ast.parse(candidate.read_text(encoding="utf8"))) or ""):
            return candidate.relative_to(ROOT).as_posix()
    raise SystemExit(f"no test file for {module}: neither {mirror} nor one whose docstring names {path.stem}")


def plant(module: str, before: dict | None = None) -> dict:
    """Run mutmut on a copy of the working tree; how many faults there are, and what those change that go unnoticed.

    With the result of an earlier run on the same module, only what went unnoticed then is planted again: tests have
    been added since, and what they noticed before they still do.
    """
    digest = hashlib.sha256((ROOT / module).read_bytes()).hexdigest()
    names = []
    if before is not None:
        if before.get("module") != digest:
            raise SystemExit(f"{module} has changed since its last run: run it whole")
        names = [fault["name"] for fault in before["unnoticed"]]
        if not names:
            return before
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _copy(folder)
        settings = (folder / "pyproject.toml").read_text(encoding="utf8")
        # mutmut forks a process in which dlref is imported already, and the run-time check of shapes must come first
        settings = "\n".join(line for line in settings.splitlines() if "--jaxtyping-packages" not in line)
        settings += SETTINGS.format(module=module, tests=tests_of(module))
        (folder / "pyproject.toml").write_text(settings, encoding="utf8")
        mutmut = [sys.executable, "-m", "mutmut"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "JAXTYPING_DISABLE": "1", "DLREF_PLANTED": "1"}
        subprocess.run([*mutmut, "run", *names], cwd=folder, env=environment, check=True)
        meta = json.loads((folder / "mutants" / f"{module}.meta").read_text(encoding="utf8"))
        codes = {key: code for key, code in meta["exit_code_by_key"].items() if not names or key in names}
        status = {key: "not run" if code is None else status_by_exit_code[code] for key, code in codes.items()}
        unknown = sorted(key for key, state in status.items() if state in ("not run", "suspicious", "segfault"))
        if unknown:
            raise SystemExit(f"mutmut came to no verdict on {unknown}")
        survivors = []
        for key, state in status.items():
            if state in ("survived", "no tests"):
                shown = subprocess.run(
                    [*mutmut, "show", key], cwd=folder, env=environment, check=True, capture_output=True, text=True
                ).stdout
                survivors.append({"name": key, **_change(shown)})
        planted = len(status) if before is None else before["mutants"]
        return {"module": digest, "mutants": planted, "unnoticed": survivors}


def _copy(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for file in listed:
        if (ROOT / file).is_file() and not file.startswith("book/"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)


def _change(diff: str) -> dict[str, str]:
    lines = [line for line in diff.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++")]
    return {
        "from": " ".join(line[1:].strip() for line in lines if line[0] == "-"),
        "to": " ".join(line[1:].strip() for line in lines if line[0] == "+"),
    }


def reason(module: str, survivor: dict[str, str], reasons: dict[str, list[dict[str, str]]]) -> str | None:
    """Why an unnoticed change is no fault, if tests/mutants.yml says so, of this module or of every one."""
    before, after = (" ".join(survivor[side].split()) for side in ("from", "to"))
    for entry in reasons.get("every module", []):
        if entry["from"] in before and " ".join(before.replace(entry["from"], entry["to"]).split()) == after:
            return entry["because"]
    for entry in reasons.get(module, []):
        if entry["from"] == survivor["from"] and entry["to"] == survivor["to"]:
            return entry["because"]
    return None


def table(results: dict[str, dict], reasons: dict[str, list[dict[str, str]]]) -> str:
    """The score of every module, then each unnoticed fault with its reason."""
    lines = [
        "# Planted faults",
        "",
        "Written by `make mutants`. Score: of the changes that are faults, the share that the tests notice.",
        "",
        "| module | planted | noticed | equivalent | surviving | score |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    notes = []
    for module, result in sorted(results.items()):
        why = [(s, reason(module, s, reasons)) for s in result["unnoticed"]]
        equivalent = sum(text is not None for _, text in why)
        surviving = len(why) - equivalent
        noticed = result["mutants"] - len(why)
        score = noticed / (noticed + surviving)
        lines.append(
            f"| `{module}` | {result['mutants']} | {noticed} | {equivalent} | {surviving} | {100 * score:.1f}% |"
        )
        if why:
            notes += ["", f"## `{module}`", ""]
            notes += [f"- `{s['from']}`\n  became `{s['to']}`: {text or '**surviving**'}" for s, text in why]
    return "\n".join(lines + notes) + "\n"


def main(modules: list[str], *, again: bool) -> None:
    """Run the named modules, all of dlref by default, and write the table."""
    if not modules:
        modules = [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "dlref").rglob("*.py")) if p.stem[:2] != "__"]
    results = json.loads(RESULTS.read_text(encoding="utf8")) if RESULTS.exists() else {}
    for module in modules:
        results[module] = plant(module, results.get(module) if again else None)
        RESULTS.write_text(
            json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf8"
        )
        write_table()
    print(TABLE.read_text(encoding="utf8"))


def write_table() -> None:
    """Write the table anew from the kept results and reasons."""
    reasons = yaml.safe_load(REASONS.read_text(encoding="utf8")) or {}
    TABLE.write_text(table(json.loads(RESULTS.read_text(encoding="utf8")), reasons), encoding="utf8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="paths such as dlref/train.py; by default all of dlref")
    parser.add_argument("--again", action="store_true", help="plant only what went unnoticed the last time")
    options = parser.parse_args()
    main(options.modules, again=options.again)
