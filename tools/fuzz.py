"""Run every test that draws its cases with many more of them than usual: `make fuzz`.

A case takes the function, its oracle and the drawing. Where that is quick, ten thousand are drawn; else two hundred.
Failures are told by pytest; the last lines say how many cases were drawn.
"""

import os
import re
import subprocess
import sys

from tools.chapters import ROOT

FEW, MANY, QUICK = 200, 10_000, 0.005  # seconds a case

# without the import hook, whose checks of shapes take longer than what is to be tried
PYTEST = [sys.executable, "-m", "pytest", "-q", "--no-header", "-o", "addopts=--import-mode=importlib", "-n", "auto"]


def run(cases: int, tests: list[str], *, folder: str | None = None) -> tuple[int, dict[str, float]]:
    """Exit status, and how long each test took."""
    command = [*PYTEST, "-m", "hypothesis", "--durations=0", "--durations-min=0", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "DLREF_CASES": str(cases)}
    ran = subprocess.run(command, cwd=folder or ROOT, env=environment, capture_output=True, text=True, check=False)
    took = {
        test: float(seconds) for seconds, test in re.findall(r"^([\d.]+)s call +(\S+.*)$", ran.stdout, re.MULTILINE)
    }
    if ran.returncode:
        print(ran.stdout[-5000:], ran.stderr[-2000:])
    return ran.returncode, took


def main() -> int:
    """Two hundred cases for all, and then ten thousand for the quick ones."""
    status, took = run(FEW, ["tests"])
    quick = [test for test, seconds in took.items() if seconds / FEW < QUICK]
    print(f"{len(took)} tests of {FEW} cases; {len(quick)} of them take less than {1000 * QUICK:.0f} ms a case")
    if status:
        return status
    status, took = run(MANY, quick)
    print(
        f"{len(took)} tests of {MANY} cases in {sum(took.values()):.0f} s: {'something' if status else 'nothing'} found"
    )
    return status


if __name__ == "__main__":
    raise SystemExit(main())
