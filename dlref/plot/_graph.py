"""What a network computes, as a graph of boxes: recorded while it runs once."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from dlref.count import multiplications
from dlref.train.evaluation import evaluating

# functions that have a box of their own; what else reorders or reshapes is passed over
NAMES = {
    "adaptive_avg_pool2d": "mean over positions",
    "avg_pool2d": "average pooling",
    "bmm": "matrix product",
    "cat": "concatenate",
    "cross_entropy": "cross-entropy",
    "dropout": "dropout",
    "gelu": "GELU",
    "interpolate": "interpolate",
    "matmul": "matrix product",
    "max_pool2d": "maximum pooling",
    "mean": "mean",
    "relu": "ReLU",
    "relu_": "ReLU",
    "scaled_dot_product_attention": "attention",
    "sigmoid": "sigmoid",
    "silu": "SiLU",
    "softmax": "softmax",
    "stack": "stack",
    "tanh": "tanh",
}
SIGNS = {"add": "+", "add_": "+", "mul": "×", "mul_": "×", "sub": "−", "sub_": "−"}


@dataclass
class Box:
    """One call of a module or function.

    ``inputs`` are the indices of the boxes that it takes its tensors from, ``group``
    says how it is drawn: input, weights, norm, activation, pool, sign, join, other.
    """

    name: str
    label: str
    group: str
    output: tuple[int, ...]
    inputs: list[int] = field(default_factory=list)
    parameters: int = 0
    multiplications: int = 0
    repeats: int = 1


def record(
    model: nn.Module,
    inputs: Sequence[Tensor],
    depth: int | None,
    labels: dict[str, str],
) -> tuple[list[Box], list[int]]:
    """Boxes in the order of their calls, and which of them give the outputs."""
    recorder = _Recorder()
    handles = []
    for name, module in model.named_modules():
        # a model without parts and weights is looked into: it calls functions
        leaf = not list(module.children()) and (name or list(module.parameters()))
        if leaf:
            handles.append(module.register_forward_hook(recorder.count, prepend=True))
        inside = name and depth is not None and name.count(".") + 1 > depth
        if (leaf or (name and name.count(".") + 1 == depth)) and not inside:
            handles.append(module.register_forward_pre_hook(recorder.enter))
            label = labels.get(name)
            hook = partial(recorder.leave, name, label)
            handles.append(module.register_forward_hook(hook))
    try:
        with evaluating(model), recorder:
            for tensor in inputs:
                recorder.new(Box("input", "input", "input", shape(tensor)), [tensor])
            result = model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    ends = [recorder.made[id(t)] for t in tensors(result) if id(t) in recorder.made]
    return recorder.boxes, list(dict.fromkeys(ends))


class _Recorder(TorchFunctionMode):
    """Who made which tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[Box] = []
        self.made: dict[int, int] = {}
        self.kept: list[Tensor] = []  # or a new tensor could get the id of a dead one
        self.inside = 0
        self.spent: Counter[str] = Counter()

    def new(self, box: Box, outputs: Sequence[Tensor]) -> None:
        """Add a box that made these tensors."""
        self.boxes.append(box)
        self._know(outputs, len(self.boxes) - 1)

    def _know(self, outputs: Sequence[Tensor], index: int) -> None:
        self.kept += outputs
        self.made |= {id(tensor): index for tensor in outputs}

    def sources(self, values: Any) -> list[int]:
        """The boxes that made the tensors among some values."""
        return [self.made[id(t)] for t in tensors(values) if id(t) in self.made]

    def enter(self, _module: nn.Module, _inputs: tuple[Any, ...]) -> None:
        """Look away: what a module does inside is its own business."""
        self.inside += 1

    def count(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Add up what the leaves of a module multiply."""
        if isinstance(output, Tensor):
            self.spent[""] += multiplications(module, inputs[0], output)

    def leave(
        self,
        name: str,
        label: str | None,
        module: nn.Module,
        inputs: tuple[Any, ...],
        output: Any,
    ) -> None:
        """Make the box of a module."""
        self.inside -= 1
        if self.inside:
            return
        made = tensors(output)
        box = Box(
            name,
            label or label_of(name, module),
            group_of(module),
            shape(made[0]),
            list(dict.fromkeys(self.sources(inputs))),
            sum(p.numel() for p in module.parameters()),
            self.spent.pop("", 0),
        )
        self.new(box, made)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        sources = [] if self.inside else self.sources((args, kwargs))
        made = tensors(result)
        if not sources or not made:
            return result
        name = getattr(func, "__name__", "")
        several = len(sources) > 1
        if several and name in SIGNS:
            box = Box(name, SIGNS[name], "sign", shape(made[0]), sources)
        elif several or name in NAMES:
            group = "join" if several else "activation"
            box = Box(name, NAMES.get(name, name), group, shape(made[0]), sources)
            box.inputs = list(dict.fromkeys(sources))
        elif self.boxes[sources[0]].group == "input" and name in _PIECES:
            self._pieces(name, args, sources[0], made)
            return result
        else:
            self._know(made, sources[0])
            return result
        self.new(box, made)
        return result

    def _pieces(
        self, name: str, args: tuple[Any, ...], whole: int, made: Sequence[Tensor]
    ) -> None:
        """Parts of an input, as a loop over time takes them, are inputs themselves."""
        places = range(len(made)) if name == "unbind" else [_place(args[-1])]
        for place, tensor in zip(places, made, strict=False):
            box = Box(f"input {place}", f"input {place}", "input", shape(tensor))
            self.new(box, [tensor])
        self.boxes[whole].label = ""  # it is not drawn


_PIECES = ("__getitem__", "unbind", "select")


def _place(index: Any) -> str:
    numbers = index if isinstance(index, tuple) else (index,)
    return ", ".join(str(i) for i in numbers if isinstance(i, int)) or "part"


def tensors(values: Any) -> list[Tensor]:
    """The tensors among values, however they are nested."""
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]


def shape(tensor: Tensor) -> tuple[int, ...]:
    """Shape of one example: without the batch."""
    return tuple(tensor.shape[1:])


def group_of(module: nn.Module) -> str:
    """How a module's box is drawn."""
    kind = type(module).__name__
    if any("Norm" in word for word in (kind, type(module).__mro__[1].__name__)):
        return "norm"
    if list(module.parameters()):
        return "weights"
    if "Pool" in kind:
        return "pool"
    own = type(module).__module__
    return "activation" if own.endswith(("activation", "dropout")) else "other"


def label_of(name: str, module: nn.Module) -> str:
    """What stands in a module's box."""
    kind = type(module).__name__
    if isinstance(module, nn.Sequential):
        return name.rpartition(".")[2]
    size = getattr(module, "kernel_size", None)
    if size is not None:
        size, stride = (
            pair if isinstance(pair, tuple) else (pair, pair)
            for pair in (size, getattr(module, "stride", 1))
        )
        kind += " " + " × ".join(map(str, size))
        channels = getattr(module, "out_channels", None)
        kind += "" if channels is None else f", {channels}"
        kind += "" if set(stride) == {1} else f", stride {stride[0]}"
    elif isinstance(module, nn.Linear):
        kind += f", {module.out_features}"
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        kind += f", {module.hidden_size}"
    return kind
