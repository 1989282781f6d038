"""``results``: the headline numbers of all experiments, gathered from the executed cells.

The cell that does the work, and whose time counts, says in its metadata which glued value is a headline, and of what::

    headline:
      accuracy-lenet: accuracy of LeNet-5 on the held-out digits
"""

from pathlib import Path

from docutils import nodes
from fresh import depends, watch
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools import chapters, execute


class Results(SphinxDirective):
    @staticmethod
    def inputs(root: Path) -> object:
        """Which outputs the pages have, and which of them are headlines."""
        runs = sorted((page, run.key, run.times, run.device) for page, run in execute.known(root).items())
        return runs, [(page.as_posix(), _headlines(page)) for page in chapters.executable(root)]

    def run(self) -> list[nodes.Node]:
        depends(self, Results.inputs)
        root = Path(self.env.srcdir)
        known = execute.known(root)
        lines = ["| experiment | result | chapter | device | time |", "| --- | ---: | --- | --- | ---: |"]
        for page in chapters.executable(root):
            name = page.relative_to(root).with_suffix("").as_posix()
            headlines, run = _headlines(page), known[name]
            values = execute.glued(root, page) if any(headlines) else {}
            for cell, seconds in zip(headlines, run.times, strict=True):
                for key, what in cell.items():
                    if key not in values:
                        raise self.error(f"{name}: no cell glues {key}, which is named as a headline")
                    lines.append(f"| {what} | {values[key]} | {{doc}}`/{name}` | {run.device} | {seconds:.1f} s |")
        return self.parse_text_to_nodes("\n".join(lines))


def _headlines(page: Path) -> list[dict[str, str]]:
    """For each code cell, the glued values that are headlines, and of what."""
    cells = [cell for cell in chapters.read(page).cells if cell.cell_type == "code"]
    return [dict(cell.metadata.get("headline", {})) for cell in cells]


def setup(app: Sphinx) -> dict[str, bool]:
    watch(Results.inputs)
    app.add_directive("results", Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
