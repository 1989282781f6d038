"""How the windows of a pooling lie, and what each of them holds."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dlref.convnets._windows import images, pair


class Window(NamedTuple):
    """How the windows of a pooling lie, each as a pair, and how many there are."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    size: tuple[int, int]

    @staticmethod
    def of(
        positions: Callable[..., int],
        x: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil: bool,
    ) -> "Window":
        """Check the settings for these images; ``positions`` counts the windows."""
        kernel, around = (
            pair("kernel_size", kernel_size, 1),
            pair("padding", padding, 0),
        )
        if any(2 * r > k for r, k in zip(around, kernel, strict=True)):
            raise ValueError(
                f"padding must be at most half of kernel_size {kernel}, got {around}"
            )
        steps = kernel if stride is None else pair("stride", stride, 1)
        gaps = pair("dilation", dilation, 1)
        places = zip(images(x).shape[2:], kernel, steps, around, gaps, strict=True)
        P, Q = (_pool_size(positions, *place, ceil) for place in places)
        return Window(kernel, steps, around, gaps, (P, Q))

    def around(self, x: Tensor) -> list[int]:
        """Pixels at the left, right, top and bottom that windows see."""
        found = []
        for axis in (1, 0):
            span = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            end = (self.size[axis] - 1) * self.stride[axis] + span - self.padding[axis]
            beyond = max(end - x.shape[2 + axis], 0)
            found += [self.padding[axis], beyond]
        return found

    def counts(self, x: Tensor, padded: bool) -> list[Tensor]:
        """Rows, and columns, of each window that count in its mean."""
        found = []
        for axis in (0, 1):
            around = self.padding[axis] if padded else 0
            start = torch.arange(self.size[axis], device=x.device) * self.stride[axis]
            start = start - self.padding[axis]
            end = (start + self.kernel[axis]).clamp(max=x.shape[2 + axis] + around)
            found.append(end - start.clamp(min=-around))
        return found


def _pool_size(
    positions: Callable[..., int],
    size: int,
    kernel: int,
    step: int,
    around: int,
    gap: int,
    ceil: bool,
) -> int:
    count = positions(size, kernel, step, around, gap)
    begins = count * step  # the next window
    rest = size + 2 * around - gap * (kernel - 1) - 1 - (count - 1) * step
    return count + (ceil and rest > 0 and begins < size + around)


class Pool(nn.Module):
    """A layer of pooling: its settings are those of the function."""

    _names: ClassVar[tuple[str, ...]] = ()

    def extra_repr(self) -> str:
        """What the layer's repr shows."""
        return ", ".join(f"{name}={value}" for name, value in self._settings().items())

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names}
