"""What the front page is made of: a card a part, how to install, the table of the last build."""

import datetime
import platform
import shutil
from importlib.metadata import version
from pathlib import Path

import yaml
from docutils import nodes
from fresh import depends, watch
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from tools import build, chapters, execute
from tools.source import pairs

logger = logging.getLogger(__name__)
PARTS = Path("book", "parts.yml")


class figure_of(nodes.General, nodes.Element):  # noqa: N801  docutils names nodes so
    """A figure of another page, without its caption."""


class PartCards(SphinxDirective):
    """A card for each part of ``book/parts.yml``: its picture and chapters, or that it is to come."""

    @staticmethod
    def inputs(root: Path) -> object:
        """The table of the parts, and which pages there are."""
        return (root / PARTS).read_text(encoding="utf8"), [page.as_posix() for page in chapters.documents(root)]

    def run(self) -> list[nodes.Node]:
        depends(self, PartCards.inputs)
        root = Path(self.env.srcdir)
        parts = yaml.safe_load((root / PARTS).read_text(encoding="utf8"))
        pages = [page for page in chapters.documents(root) if page.parent.name in parts]
        if self.env.app.builder.format != "html":
            written = {page.parent.name for page in pages}
            lines = [f"- **{card['title']}**. {card['says']}" for part, card in parts.items() if part in written]
            return self.parse_text_to_nodes("\n".join(lines))
        lines = ["::::{grid} 1 2 3 4", ":gutter: 2", ""]
        for part, card in parts.items():
            written = [page.relative_to(root).with_suffix("") for page in pages if page.parent.name == part]
            lines += [f":::{{grid-item-card}} {card['title']}", *([] if written else [":class-card: to-come"]), ""]
            if written:
                lines += ["```{figure-of} " + card["figure"], "```", ""]
            lines += [card["says"] + ("" if written else " *To be written.*"), ""]
            lines += ["{.chapters}", ", ".join(f"{{doc}}`/{page.as_posix()}`" for page in written)] if written else []
            lines += ["", ":::", ""]
        return self.parse_text_to_nodes("\n".join([*lines, "::::"]))


class FigureOf(SphinxDirective):
    """Argument: page and name of the figure, as in ``optimization/momentum#fig-ravine``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        page, _, name = self.arguments[0].partition("#")
        return [figure_of(page=f"book/{page}", name=name)]


def fill_figures(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Take over the images from where they were drawn; the picture is a link to there."""
    for place in list(doctree.findall(figure_of)):
        drawn = app.env.get_doctree(place["page"])
        figures = [node for node in drawn.findall(nodes.figure) if place["name"] in node["ids"]]
        images = [image for figure in figures for image in figure.findall(nodes.image) if _themed(image)]
        if not images:
            logger.warning("%s has no figure named %s", place["page"], place["name"], location=place)
        link = make_refnode(app.builder, page, place["page"], place["name"], [image.deepcopy() for image in images])
        place.replace_self(nodes.paragraph("", "", link, classes=["card-figure"]))


def _themed(image: nodes.image) -> bool:
    return bool({"dl-light", "dl-dark"} & set(image["classes"]))


class Install(SphinxDirective):
    """The lines that install dlref."""

    def run(self) -> list[nodes.Node]:
        repository = self.env.config["html_theme_options"].get("repository_url")
        what = f"dlref[notebook] @ git+{repository}" if repository else ".[notebook]"
        lines = [
            "python3 -m venv env && . env/bin/activate",
            f'pip install "{what}"' + ("" if repository else "    # in the folder of this book"),
            "python -c 'from dlref.convnets import lenet5; print(lenet5())'",
        ]
        return [nodes.literal_block("\n".join(lines), "\n".join(lines), language="sh")]


class PdfLink(SphinxDirective):
    """A link to the book as one PDF, if it has been built; it is then part of the site."""

    @staticmethod
    def inputs(root: Path) -> object:
        """Whether it has been built."""
        return (root / build.PDF).exists()

    def run(self) -> list[nodes.Node]:
        depends(self, PdfLink.inputs)
        if self.env.app.builder.format != "html":
            return []
        if not (Path(self.env.srcdir) / build.PDF).exists():
            return self.parse_text_to_nodes("The whole book as one PDF: `make pdf`.")
        paragraph = nodes.paragraph("", "The whole book as one ")
        paragraph += [nodes.reference("", "PDF", refuri="../book.pdf", internal=True), nodes.Text(".")]
        return [paragraph]


def copy_pdf(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html" and (Path(app.srcdir) / build.PDF).exists():
        shutil.copy2(Path(app.srcdir) / build.PDF, Path(app.outdir) / "book.pdf")


class BuildTable(SphinxDirective):
    """Versions, device, date, and what was checked, of this very build."""

    @staticmethod
    def inputs(root: Path) -> object:
        """The rows of the table."""
        runs = execute.known(root)
        pages = chapters.chapters(root)
        equations = {label for page in pages for label in chapters.equations(page)}
        tests = build.tested(root)
        names = ("dlref", "torch", "numpy", "matplotlib", "jupyter-book")
        versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]
        return {
            "Built on": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "Versions": ", ".join(versions),
            "Device": ", ".join(sorted({run.device for run in runs.values()})),
            "Chapters": len(pages),
            "Code cells executed": sum(run.cells for run in runs.values()),
            "Equations held by tests": f"{len(equations & set(chapters.verified(root)))} of {len(equations)}",
            "Tests passed": tests or "not yet run on this version (`make test`)",
            "Run time of all pages": f"{sum(run.seconds for run in runs.values()):.0f} s",
        }

    def run(self) -> list[nodes.Node]:
        depends(self, BuildTable.inputs)
        rows = BuildTable.inputs(Path(self.env.srcdir))
        assert isinstance(rows, dict)
        return self.parse_text_to_nodes("\n".join(pairs(rows)))


def setup(app: Sphinx) -> dict[str, bool]:
    watch(PartCards.inputs, PdfLink.inputs, BuildTable.inputs)
    app.add_node(figure_of)
    app.add_directive("part-cards", PartCards)
    app.add_directive("figure-of", FigureOf)
    app.add_directive("install", Install)
    app.add_directive("pdf-link", PdfLink)
    app.add_directive("build-table", BuildTable)
    app.connect("doctree-resolved", fill_figures)
    app.connect("build-finished", copy_pdf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
