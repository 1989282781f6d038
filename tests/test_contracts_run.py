"""Runs tests/test_contracts.py in processes of its own, without the import hook that checks shapes."""

import re
import subprocess
import sys

import pytest

from tools.chapters import ROOT

PARTS = {
    "compiled": "test_compiled or TestArchitecture",
    "transformed": "test_transforms or test_second or test_gradient_of",
    "rest": "not (test_compiled or TestArchitecture or test_transforms or test_second or test_gradient_of)",
}


@pytest.mark.own_process
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", PARTS)
def test_contracts_hold(part):
    options = ["-n", "0", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-q", "--tb=short"]
    command = [sys.executable, "-m", "pytest", *options, "-k", PARTS[part], "tests/test_contracts.py"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-10_000:] + ran.stderr[-2_000:]
    assert int(re.search(r"(\d+) passed", ran.stdout)[1]) > 50
