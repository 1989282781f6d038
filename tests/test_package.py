"""The package as a whole: what importing it costs, and the lines that the README shows."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["dlref", "dlref.data", "dlref.neurons"])
def test_numpy_parts_import_no_torch(name):
    """In a fresh interpreter: `import dlref` must be cheap, and the NumPy parts must run where torch is missing."""
    code = f"import sys; sys.modules['torch'] = None; import {name}; print(sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert ran.returncode == 0, ran.stderr
    assert f"'{name}'" in ran.stdout


NAMES = yaml.safe_load(Path(__file__).with_name("public_names.yml").read_text(encoding="utf8"))


@pytest.mark.parametrize("module", NAMES)
def test_public_names_stay_where_they_are(module):
    found = importlib.import_module(module)
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []


def test_readme_example_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 1, "the README shows one example"
    assert 15 <= len(blocks[0].splitlines()) <= 25
    ran = subprocess.run([sys.executable, "-W", "error", "-c", blocks[0]], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = re.findall(r"#\s*prints (.*)", blocks[0])
    assert said, "the example says what it prints"
    assert ran.stdout.splitlines() == said
