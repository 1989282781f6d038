"""Where the boxes of a graph stand: each in a rank and a lane."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dlref.plot._graph import Box


@dataclass
class Stack:
    """Boxes on top of each other, with nothing but one arrow in and one out."""

    boxes: list[Box]
    inputs: list[int]  # of other stacks
    rank: int = 0
    lane: int = 0
    side: bool = False  # an input that comes from beside its consumer


@dataclass
class Layout:
    """Stacks, and for each edge the lane that it runs through."""

    stacks: list[Stack]
    ends: list[int]
    edges: dict[tuple[int, int], int] = field(default_factory=dict)


def layout(boxes: Sequence[Box], ends: Sequence[int], *, join: bool) -> Layout:
    """Put boxes into stacks, stacks into ranks and lanes."""
    stacks, at = _stacked(_folded(boxes, ends), ends, join=join)
    placed = Layout(stacks, sorted({at[end] for end in ends}))
    _rank(stacks)
    _lanes(placed)
    return placed


def _folded(boxes: Sequence[Box], ends: Sequence[int]) -> dict[int, Box]:
    """Without inputs that are not used as a whole; equal boxes in a row become one."""
    users = _users(boxes)
    left = {i: box for i, box in enumerate(boxes) if box.label}
    for i, box in list(left.items()):
        if box.group == "input" or len(box.inputs) != 1:
            continue
        before = box.inputs[0]
        above = left[before]
        same = (box.label, box.parameters, box.output) == (
            above.label,
            above.parameters,
            above.output,
        )
        if (
            same
            and box.parameters
            and box.name != above.name
            and len(users[before]) == 1
            and before not in ends
            and len(above.inputs) == 1
        ):
            box.repeats, box.inputs = above.repeats + 1, above.inputs
            del left[before]
            for other in left.values():
                other.inputs = [i if n == before else n for n in other.inputs]
    return left


def _users(boxes: Sequence[Box]) -> list[list[int]]:
    users: list[list[int]] = [[] for _ in boxes]
    for i, box in enumerate(boxes):
        for n in box.inputs:
            users[n].append(i)
    return users


def _stacked(
    boxes: dict[int, Box], ends: Sequence[int], *, join: bool
) -> tuple[list[Stack], dict[int, int]]:
    """What only changes its input's values joins the box that made it."""
    users = {i: sum(i in box.inputs for box in boxes.values()) for i in boxes}
    stacks: list[Stack] = []
    at: dict[int, int] = {}
    for i, box in boxes.items():
        before = box.inputs[0] if len(box.inputs) == 1 else None
        if (
            join
            and before is not None
            and box.group in ("norm", "activation")
            and users[before] == 1
            and before not in ends
            and boxes[before].group not in ("input", "sign")
            and boxes[before].output == box.output
        ):
            at[i] = at[before]
            stacks[at[i]].boxes.append(box)
            continue
        at[i] = len(stacks)
        stacks.append(Stack([box], [at[n] for n in box.inputs]))
    return stacks, at


def _rank(stacks: list[Stack]) -> None:
    """One more than the last of those it takes from; an input beside others waits."""
    users = [
        [k for k, other in enumerate(stacks) if i in other.inputs]
        for i in range(len(stacks))
    ]
    for i, stack in enumerate(stacks):
        if stack.boxes[0].group == "input" and len(users[i]) == 1:
            piece = stack.boxes[0].label != "input"
            stack.side = piece or (i > 0 and len(stacks[users[i][0]].inputs) > 1)
    for stack in stacks:
        above = [stacks[n].rank + 1 for n in stack.inputs if not stacks[n].side]
        stack.rank = max(above, default=0)
        for n in stack.inputs:
            if stacks[n].side:
                stacks[n].rank = stack.rank


def _lanes(placed: Layout) -> None:
    """The longest way in the middle, what runs beside it beside it."""
    stacks = placed.stacks
    taken: dict[int, list[tuple[int, int]]] = {}

    def lane(low: int, high: int, order: Sequence[int]) -> int:
        for number in order:
            spans = taken.setdefault(number, [])
            if all(high < a or b < low for a, b in spans):
                spans.append((low, high))
                return number
        raise AssertionError("there is always a free lane")

    beside = any(stack.side for stack in stacks)  # the left is theirs
    both = [n for k in range(1, 40) for n in ((k,) if beside else (k, -k))]
    left = [i for i, stack in enumerate(stacks) if not stack.side]
    ways: list[list[int]] = []
    while left:
        way = _longest(stacks, left)
        left = [i for i in left if i not in way]
        ways.append(way)
    last = {way[-1] for way in ways[1:]}
    first = {way[0] for way in ways[1:]}
    for way in ways:
        low, high = stacks[way[0]].rank, stacks[way[-1]].rank
        if way is not ways[0]:
            low = min([low, *(stacks[n].rank + 1 for n in stacks[way[0]].inputs)])
            high = max([high, *(s.rank - 1 for s in stacks if way[-1] in s.inputs)])
        number = lane(low, high, [0] if way is ways[0] else both)
        for i in way:
            stacks[i].lane = number
    for stack in stacks:
        if stack.side:
            stack.lane = lane(stack.rank, stack.rank, [-k for k in range(1, 40)])
    edges = [(n, i) for i, stack in enumerate(stacks) for n in stack.inputs]
    for a, b in sorted(edges, key=lambda e: stacks[e[1]].rank - stacks[e[0]].rank):
        low, high = stacks[a].rank + 1, stacks[b].rank - 1
        if low > high or stacks[a].side:
            placed.edges[a, b] = stacks[b].lane
        elif a in last:
            placed.edges[a, b] = stacks[a].lane
        elif b in first:
            placed.edges[a, b] = stacks[b].lane
        else:
            placed.edges[a, b] = lane(low, high, list(range(1, 40)))


def _longest(stacks: list[Stack], among: list[int]) -> list[int]:
    """The longest way through some stacks, each taking from the one before."""
    length: dict[int, list[int]] = {}
    for i in among:
        before = [length[n] for n in stacks[i].inputs if n in length]
        length[i] = [*max(before, key=len, default=[]), i]
    return max(length.values(), key=len)
