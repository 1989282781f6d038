"""What a reader sees on each chapter: the share of code in the height of its page, and the words that explain a topic.

``python -m tools.page_shape`` measures all chapters in Chromium after ``make book`` and keeps the shares in
``book/page_shape.yml``; a test measures them again. Exercises are left out of both.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tools import chapters

KEPT = Path("book", "page_shape.yml")
# the height of the code that is shown, not folded, over the height of the article
SHARE = """() => {
  const article = document.querySelector('article') || document.querySelector('main');
  const exercises = article.querySelector('section#exercises');
  const height = (box) => (box ? box.getBoundingClientRect().height : 0);
  const shown = [...article.querySelectorAll('div.highlight')].filter((code) =>
    code.checkVisibility() && !code.closest('.solution, .exercise, section#exercises, .cell_output'));
  const sum = shown.reduce((total, code) => total + height(code), 0);
  return sum / (height(article) - height(exercises));
}"""
UNREAD = {"code-cell", "literalinclude", "figure", "figure-of", "math", "raw", "toctree", "list-table", "table", ""}


def words(text: str) -> list[str]:
    """What a reader reads of a page: roles with their text, no code, mathematics, figures, exercises or solutions."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    head, _, rest = text.partition("\n## Exercises")
    text = head + ("\n## Summary" + rest.split("\n## Summary", 1)[1] if "\n## Summary" in rest else "")
    lines: list[str] = []
    fences: list[tuple[str, bool]] = []
    for line in text.splitlines():
        mark = re.match(r"\s*(`{3,}|:{3,})(\{([\w:-]+)\})?(.*)$", line)
        hidden = any(unread for _, unread in fences)
        if mark and fences and mark[1] == fences[-1][0] and not mark[2] and not mark[4].strip():
            fences.pop()
        elif mark and not hidden:
            fences.append((mark[1], (mark[3] or "") in UNREAD))
            lines.append(mark[4] if mark[3] and mark[3] not in UNREAD else "")
        elif not hidden and not re.match(r"\s*:[\w-]+:|\([\w-]+\)=$", line):
            lines.append(line)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", " ", "\n".join(lines), flags=re.DOTALL)
    text = re.sub(r"\{[\w:]+\}`([^`<]*)(<[^`]*>)?`", r"\1", text)
    return re.findall(r"[A-Za-z][A-Za-z'’-]*", text)


def words_a_topic(page: Path) -> float:
    """Words over the topics of a page."""
    return len(words(page.read_text(encoding="utf8"))) / (len(chapters.labels(page)) or 1)


def share(view: Any, path: Path) -> float:
    """Share of visible code on a built page, in a browser's view 1280 pixels wide."""
    view.goto(path.resolve().as_uri())
    return view.evaluate(SHARE)


def kept(root: Path = chapters.ROOT) -> dict[str, float]:
    """Chapter to its share of visible code when it was last measured, in per cent; nothing if it never was."""
    return yaml.safe_load((root / KEPT).read_text(encoding="utf8")) if (root / KEPT).is_file() else {}


def main(root: Path = chapters.ROOT) -> None:
    """Measure every chapter, and keep what was found."""
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1280, "height": 1000})
        for page in chapters.chapters(root):
            name = page.relative_to(root / "book").with_suffix("").as_posix()
            found[name] = round(100 * share(view, root / "_build" / "html" / "book" / f"{name}.html"))
            print(f"{name:<46}{found[name]:>4}% code {words_a_topic(page):>5.0f} words a topic")
        browser.close()
    (root / KEPT).write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf8")


if __name__ == "__main__":
    main()
