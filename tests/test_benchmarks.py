"""The benchmarks run, time what they say, and put ours over theirs."""

import subprocess
import sys

import pytest

from benchmarks import run
from tools.chapters import ROOT


def test_ratio_is_ours_over_theirs(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(run.time, "perf_counter", lambda: clock[0])

    def take(seconds):
        def work():
            clock[0] += seconds

        return work

    assert run.ratio(take(3.0), take(2.0), repeats=10) == pytest.approx((1.5, 1.5, 1.5))


def test_table_has_a_row_for_each_pair():
    command = [sys.executable, "-m", "benchmarks.run", "--size", "2000", "--batch", "2", "--repeats", "2", "--eager"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = ran.stdout.splitlines()[2:]
    pairs = run.everything(2000, 2, compiled=False)
    assert len(rows) == len(pairs)
    width = max(map(len, pairs))
    assert all(float(row[width:].split()[0]) > 0 for row in rows)
    assert set(run.CEILINGS) <= set(pairs)
    assert sum(row.endswith(("holds", "BROKEN")) for row in rows) == len(run.CEILINGS)
