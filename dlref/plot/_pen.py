"""Puts a layout on paper: boxes, lines, shapes."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from dlref.plot._sizes import LINE, Sizes, shape_of

COLOURS = {
    "weights": "C0",
    "norm": "C2",
    "activation": "C1",
    "pool": "C3",
    "join": "C5",
    "other": "C4",
}
SMALL = 7.5  # points


class Pen(Sizes):
    """Draws a layout."""

    def _xy(self, along: float, across: float) -> tuple[float, float]:
        return (across, -along) if self.down else (along, across)

    def draw(self, ax: Axes | None) -> Figure:
        width, height = (
            (self.breadth, self.length) if self.down else (self.length, self.breadth)
        )
        if ax is None:
            figure = Figure(figsize=(width + 0.2, height + 0.2))
            figure.set_layout_engine("none")
            ax = figure.add_axes((0, 0, 1, 1))
        figure = ax.figure
        assert isinstance(figure, Figure)
        low = (-0.1, -height - 0.1) if self.down else (-0.1, -0.1)
        ax.set(
            xlim=(low[0], low[0] + width + 0.2), ylim=(low[1], low[1] + height + 0.2)
        )
        ax.set_aspect("equal")
        ax.set_axis_off()
        for (a, b), lane in self.placed.edges.items():
            self._edge(ax, a, b, lane)
        for i in range(len(self.placed.stacks)):
            self._stack(ax, i)
        for i in self.placed.ends:
            stack = self.placed.stacks[i]
            start = self._out(i)
            end = max(start + 0.8 * self.gap, 0.0)
            self._line(
                ax, [(start, self.lane_at[stack.lane]), (end, self.lane_at[stack.lane])]
            )
        return figure

    def _out(self, i: int) -> float:
        return self.rank_at[self.placed.stacks[i].rank] + self.sizes[i][0] / 2

    def _edge(self, ax: Axes, a: int, b: int, lane: int) -> None:
        one, two = self.placed.stacks[a], self.placed.stacks[b]
        x, y, via = (self.lane_at[n] for n in (one.lane, two.lane, lane))
        sign = two.boxes[0].group == "sign"
        start, end = self._out(a), self.rank_at[two.rank] - self.sizes[b][0] / 2
        turn = self.rank_end[one.rank] + 0.13
        if one.side:
            self._line(
                ax,
                [
                    (self.rank_at[one.rank], x + self.sizes[a][1] / 2),
                    (self.rank_at[two.rank], y - self.sizes[b][1] / 2),
                ],
            )
            return
        points = [(start, x)]
        if via != x:
            points += [(turn, x), (turn, via)]
        if via != y and sign:
            middle = self.rank_at[two.rank]
            edge = y + (0.13 if via > y else -0.13)
            points += [(middle, via), (middle, edge)]
        elif via != y:
            before = self.rank_end[two.rank - 1] + 0.13
            points += [(before, via), (before, y), (end, y)]
        else:
            points.append((end, y))
        self._line(ax, points)

    def _line(self, ax: Axes, points: list[tuple[float, float]]) -> None:
        ink = mpl.rcParams["text.color"]
        places = [self._xy(*point) for point in points]
        if len(places) > 2:
            ax.plot(
                *zip(*places[:-1], strict=True),
                color=ink,
                linewidth=1,
                solid_joinstyle="round",
            )
        style = {
            "arrowstyle": "-|>",
            "color": ink,
            "linewidth": 1,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        ax.annotate("", places[-1], places[-2], arrowprops=style)

    def _stack(self, ax: Axes, i: int) -> None:
        stack = self.placed.stacks[i]
        along, across = self.rank_at[stack.rank], self.lane_at[stack.lane]
        x, y = self._xy(along, across)
        first = stack.boxes[0]
        ink = mpl.rcParams["text.color"]
        if first.group == "sign":
            ax.add_patch(Circle((x, y), 0.13, facecolor="none", edgecolor=ink))
            ax.text(x, y, first.label, ha="center", va="center_baseline", fontsize=11)
        elif first.group == "input":
            ax.text(
                x, y, first.label, ha="center", va="center", fontsize=9, style="italic"
            )
        else:
            self._box(ax, i, x, y)
        if not stack.side:
            out = self._out(i)
            if self.down:
                x, y = self._xy(out + 0.62 * self.gap, across - 0.06)
                ha, va = "right", "center"
            else:
                x, y = self._xy(out + 0.5 * self.gap, across + 0.05)
                ha, va = "center", "bottom"
            words = shape_of(stack.boxes[-1])
            ax.text(x, y, words, fontsize=SMALL, color="C5", ha=ha, va=va)

    def _box(self, ax: Axes, i: int, x: float, y: float) -> None:
        lines = self.texts[i]
        along, across = self.sizes[i]
        width, height = (across, along) if self.down else (along, across)
        stack = self.placed.stacks[i]
        top = y + height / 2
        shape = FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.05",
        )
        shape.set(facecolor="none", edgecolor=mpl.rcParams["text.color"], linewidth=1)
        if any(box.repeats > 1 for box in stack.boxes):
            left, right, low = x - width / 2, x + width / 2, y - height / 2
            for o in (0.05, 0.1):  # two more behind it
                across = [left + o, left + o, right + o, right + o, right]
                along = [top, top + o, top + o, low + o, low + o]
                ax.plot(across, along, color="C5", linewidth=0.8)
        ax.add_patch(shape)
        for k, (text, box) in enumerate(lines):
            colour = COLOURS[box.group]
            below = top - (k + 1) * LINE
            strip = FancyBboxPatch(
                (x - width / 2, below), width, LINE, boxstyle="square,pad=0"
            )
            strip.set(facecolor=colour, alpha=0.22, edgecolor="none")
            ax.add_patch(strip)
            strip.set_clip_path(shape)
            small = k == len(stack.boxes)
            ax.text(
                x,
                below + LINE / 2,
                text,
                ha="center",
                va="center_baseline",
                fontsize=SMALL if small else 9,
                color="C5" if small else None,
            )
