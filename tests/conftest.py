"""What all tests share: comparison, checks switched off, and the marks that tie tests to equations."""

import gc
import json
import os
import re

# Before NumPy and torch start their threads: one thread a worker makes results repeatable and workers independent.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, settings

from tools import build, chapters

settings.register_profile(
    "dlref", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("dlref")
if cases := os.environ.get("DLREF_CASES"):  # tools/fuzz.py asks for so many, other ones each time
    settings.register_profile("many", settings.get_profile("dlref"), max_examples=int(cases), derandomize=False)
    settings.load_profile("many")
if os.environ.get("DLREF_PLANTED"):  # tools/mutants.py wants to know whether a test fails, not on how small a case
    first = (Phase.explicit, Phase.reuse, Phase.generate)
    settings.register_profile("planted", settings.get_profile("dlref"), phases=first, report_multiple_bugs=False)
    settings.load_profile("planted")

torch.testing.assert_close(0, 0)  # its first call imports for a second: here, once for all processes forked later


@pytest.fixture(autouse=True)
def _same_start(monkeypatch):
    """Each test starts from the same random state, on the CPU, and leaves torch's switches as they were."""
    torch.manual_seed(0)
    np.random.seed(0)
    monkeypatch.setenv("DLREF_DEVICE", "cpu")
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    if torch.are_deterministic_algorithms_enabled() != deterministic:
        torch.set_deterministic_debug_mode("error" if deterministic else "default")


@pytest.fixture
def close():
    """Compare NumPy arrays, tensors, numbers or tuples of them; float64 to 1e-10 unless told otherwise."""

    def compare(ours, theirs, rtol=1e-10, atol=1e-12):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)

    return compare


@pytest.fixture
def unchecked():
    """Switch the run-time check of shapes off, as for a reader who runs without it: dlref's own errors must serve."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def refuses(unchecked):
    """Call a function with a bad input: the error must be of that kind, and its message begin like that."""

    def call(function, arguments, error, message):
        with pytest.raises(error, match="^" + re.escape(message)):
            function(*arguments)

    return call


def pytest_ignore_collect(collection_path, config):
    """The contracts run in processes of their own, without the hook: tests/test_contracts_run.py starts them."""
    hooked = config.getoption("jaxtyping_packages", None)
    return True if hooked and collection_path.name == "test_contracts.py" else None


def pytest_addoption(parser):
    parser.addoption("--chapter", metavar="PART/CHAPTER", help="run only what belongs to one chapter of the book")


def pytest_collection_modifyitems(config, items):
    """With --chapter: the tests of its modules, their doctests, and what of the book has its page as parameter.

    The test that builds the book comes first, and those that need the book last: so one process builds it, and the
    others have something to do meanwhile.
    """
    needs = {item for item in items if {"html", "pdf"} & {*getattr(item, "fixturenames", ())}}
    builds = {item for item in needs if item.name == "test_book_builds_without_a_warning"}
    items.sort(key=lambda item: (item in needs) - 2 * (item in builds))
    chapter = config.option.chapter
    if chapter is None:
        return
    known = [page.relative_to(chapters.ROOT / "book").with_suffix("").as_posix() for page in chapters.chapters()]
    if chapter not in known:
        raise pytest.UsageError(f"--chapter must be one of {', '.join(known)}, got {chapter!r}")
    part, name = chapter.split("/")
    folders = [
        f"dlref/{part}/{name}.py",
        f"dlref/{part}/{name}/",
        f"tests/{part}/test_{name}.py",
        f"tests/{part}/{name}/",
    ]
    words = (chapter, f"book/{chapter}", f"dlref.{part}.{name}", f"{chapter}.py")

    def belongs(item):
        path = item.path.relative_to(chapters.ROOT).as_posix()
        if not path.startswith("tests/book/"):
            return path.startswith(tuple(folders))
        values = getattr(getattr(item, "callspec", None), "params", {}).values()
        names = {str(value).removeprefix(f"{chapters.ROOT}/").removesuffix(".md") for value in values}
        return bool(names & set(words)) or (not names and path.endswith("test_structure.py"))

    chosen = [item for item in items if belongs(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_collection_finish():
    """What is there by now stays: looking at it again and again takes the collector a quarter of some tests' time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session, exitstatus):
    """After all tests have passed, note how many: the front page of the book says so."""
    config = session.config
    chosen = config.option.keyword or config.option.markexpr or config.option.chapter
    everything = config.args == config.getini("testpaths") and not chosen
    if exitstatus != 0 or not everything or hasattr(config, "workerinput"):
        return
    report = config.pluginmanager.get_plugin("terminalreporter")
    count = {kind: len(report.stats.get(kind, [])) for kind in ("passed", "skipped")}
    path = chapters.ROOT / build.TESTS
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**count, "fingerprint": build.fingerprint(chapters.ROOT)}), encoding="utf8")


@pytest.fixture(scope="session")
def torchvision():
    """torchvision; where its compiled operations do not fit this build of torch, without them."""
    try:
        import torchvision
    except RuntimeError:  # built for CUDA, torch for the CPU: its Python parts need none of these operations
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision
