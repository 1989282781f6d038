"""How large everything on a drawing is, and where it stands; in inches."""

from dlref.plot._graph import Box
from dlref.plot._layout import Layout, Stack

LINE, GAP, LANE = 0.25, 0.42, 0.4


def times(box: Box) -> str:
    """What a box is, and how often."""
    return f"{box.label} {box.repeats} times" if box.repeats > 1 else box.label


def shape_of(box: Box) -> str:
    """Shape of one example, as it stands on a line."""
    return " × ".join(map(str, box.output)) or "a number"


class Sizes:
    """The way of the data is ``along`` the drawing, ``across`` is beside it."""

    def __init__(self, placed: Layout, direction: str, counts: bool) -> None:
        self.placed = placed
        self.down = direction == "down"
        self.counts = counts
        self.texts = [self._lines(stack) for stack in placed.stacks]
        self.sizes = [self._size(i) for i in range(len(placed.stacks))]
        stacks, sizes = placed.stacks, self.sizes
        shapes = [len(shape_of(stack.boxes[-1])) for stack in stacks]
        self.gap = GAP if self.down else 0.35 + 0.062 * max(shapes)
        ranks = range(max(stack.rank for stack in stacks) + 1)
        depth = [
            max(s[0] for s, k in zip(sizes, stacks, strict=True) if k.rank == r)
            for r in ranks
        ]
        self.rank_at = [sum(depth[:r]) + r * self.gap + depth[r] / 2 for r in ranks]
        self.rank_end = [at + d / 2 for at, d in zip(self.rank_at, depth, strict=True)]
        self.lane_at = self._lane_places()
        self.length = self.rank_end[-1] + self.gap

    def _lines(self, stack: Stack) -> list[tuple[str, Box]]:
        lines = [
            (
                times(box) if box.repeats == 1 else f"{box.label}   (× {box.repeats})",
                box,
            )
            for box in stack.boxes
        ]
        total = sum(box.parameters * box.repeats for box in stack.boxes)
        if self.counts and total:
            words = f"{total:,} parameters"
            products = sum(box.multiplications * box.repeats for box in stack.boxes)
            lines.append(
                (
                    words + f", {_short(products)} mult." * bool(products),
                    stack.boxes[-1],
                )
            )
        return lines

    def _size(self, i: int) -> tuple[float, float]:
        """Along and across."""
        stack = self.placed.stacks[i]
        if stack.boxes[0].group == "sign":
            return 0.26, 0.26
        if stack.boxes[0].group == "input":
            words = len(stack.boxes[0].label)
            return (0.2, 0.07 * words) if self.down else (0.07 * words, 0.2)
        width = 0.25 + 0.069 * max(len(text) for text, _ in self.texts[i])
        height = LINE * len(self.texts[i])
        return (height, width) if self.down else (width, height)

    def _lane_places(self) -> dict[int, float]:
        used = {stack.lane for stack in self.placed.stacks} | set(
            self.placed.edges.values()
        )
        width = dict.fromkeys(range(min(used), max(used) + 1), LANE)
        for stack, size in zip(self.placed.stacks, self.sizes, strict=True):
            width[stack.lane] = max(width[stack.lane], size[1] + 0.3)
        at, place = {}, 0.0
        for lane, size in width.items():
            at[lane] = place + size / 2
            place += size
        self.breadth = place
        return at


def _short(number: int) -> str:
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)
