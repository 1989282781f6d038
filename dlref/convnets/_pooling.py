"""How the windows of a pooling lie, and what each of them holds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

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
    if not ceil:
        return positions(size, kernel, step, around, gap)
    count = -(-(size + 2 * around - gap * (kernel - 1) - 1) // step) + 1
    count -= (count - 1) * step >= size + around  # one that sees nothing but padding
    return count if count > 0 else positions(size, kernel, step, around, gap)
