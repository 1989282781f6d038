"""``results``: the headline numbers of all experiments, gathered from the executed cells.

The cell that does the work, and whose time counts, says in its metadata which glued value is a headline, and of what::

    headline:
      accuracy-lenet: accuracy of LeNet-5 on the held-out digits
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools import chapters, execute


class Results(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        root = Path(self.env.srcdir)
        known = execute.known(root)
        lines = ["| experiment | result | chapter | device | time |", "| --- | ---: | --- | --- | ---: |"]
        for page in chapters.executable(root):
            name = page.relative_to(root).with_suffix("").as_posix()
            cells = [cell for cell in chapters.read(page).cells if cell.cell_type == "code"]
            values, run = execute.glued(root, page), known[name]
            for cell, seconds in zip(cells, run.times, strict=True):
                for key, what in cell.metadata.get("headline", {}).items():
                    if key not in values:
                        raise self.error(f"{name}: no cell glues {key}, which is named as a headline")
                    lines.append(f"| {what} | {values[key]} | {{doc}}`/{name}` | {run.device} | {seconds:.1f} s |")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("results", Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
