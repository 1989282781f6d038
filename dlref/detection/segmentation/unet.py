"""U-Net: down to a small map that knows what, and up again to pixels that know where.

Shape legend: B pictures, C channels, H W rows and columns, K classes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check

__all__ = ["UNet"]


class UNet(nn.Module):
    """Convolutions and poolings down, the same way up, and connections across.

    Down: two convolutions of 3 x 3 and a pooling, with twice the channels each time.
    Up: a transposed convolution of 2 x 2 that doubles the sides and halves the
    channels, what was there at this size on the way down, and two convolutions.

    Args:
        in_channels: of the pictures.
        classes: K.
        width: channels of the first convolutions.
        depth: how many poolings.
        skips: what becomes of the maps of the way down: ``"concatenate"`` puts them
            beside those of the way up, ``"add"`` adds them, ``"none"`` leaves them.
        padding: whether convolutions keep the size of maps. Without it each takes a
            pixel off each side, and maps of the way down are cut to those they meet.
        norm: whether batch norm follows each convolution of 3 x 3, which then has no
            bias.

    Shape:
        (B, in_channels, H, W) to (B, K, H, W), without padding to a smaller map. With
        padding 2 ** depth must divide H and W; without it each map that is pooled must
        have even sides.

    Raises:
        TypeError: if a number is of another type.
        ValueError: if one is below 1 (``depth``: below 0), there is no such kind of
            skip, or a picture has sides that cannot be halved so often.

    Source:
        Ronneberger, Fischer & Brox (2015), arXiv:1505.04597, which is the default.

    Example:
        >>> UNet(1, 3, width=4, depth=2, padding=True)(torch.zeros(1, 1, 16, 24)).shape
        torch.Size([1, 3, 16, 24])
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        *,
        width: int = 64,
        depth: int = 4,
        skips: str = "concatenate",
        padding: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        channels = _check.integer("in_channels", in_channels, 1)
        classes = _check.integer("classes", classes, 1)
        width = _check.integer("width", width, 1)
        self.depth = _check.integer("depth", depth, 0)
        self.skips = _check.one_of("skips", skips, ("concatenate", "add", "none"))
        self.padding, self.norm = bool(padding), bool(norm)
        self.down, self.up, self.merge = (nn.ModuleList() for _ in range(3))
        self.pool = nn.MaxPool2d(2)
        for level in range(depth):
            self.down.append(self._two(channels, width << level))
            channels = width << level
        self.bottom = self._two(channels, width << depth)
        for level in reversed(range(depth)):
            here = width << level
            self.up.append(nn.ConvTranspose2d(2 * here, here, 2, stride=2))
            meets = 2 * here if skips == "concatenate" else here
            self.merge.append(self._two(meets, here))
        self.head = nn.Conv2d(width, classes, 1)

    def _two(self, channels: int, wide: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for given in (channels, wide):
            layers.append(
                nn.Conv2d(given, wide, 3, padding=int(self.padding), bias=not self.norm)
            )
            layers += [nn.BatchNorm2d(wide)] if self.norm else []
            layers.append(nn.ReLU())
        return nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K _ _"]:
        """A score for each class at each pixel."""
        _check.tensor("x", x, "B C H W", empty=True)
        self._check_sides(x)
        across = []
        for block in self.down:
            x = block(x)
            across.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, block in zip(self.up, self.merge, strict=True):
            x, met = up(x), across.pop()
            if self.skips == "concatenate":
                x = torch.cat((_cut(met, x), x), 1)
            elif self.skips == "add":
                x = x + _cut(met, x)
            x = block(x)
        return self.head(x)

    def _check_sides(self, x: Tensor) -> None:
        for side in x.shape[2:]:
            here, lost = side, 0 if self.padding else 4
            for _ in range(self.depth):
                here -= lost
                if here % 2 or here < 2:
                    raise ValueError(self._sides(x))
                here //= 2
            for _ in range(self.depth + 1):  # the bottom, and the way up
                here -= lost
                if here < 1:
                    raise ValueError(self._sides(x))
                here *= 2

    def _sides(self, x: Tensor) -> str:
        kind = "multiples of" if self.padding else "such that maps can be halved"
        amount = 2**self.depth if self.padding else f"{self.depth} times, and stay"
        got = _check.describe(x)
        return f"the sides of a picture must be {kind} {amount}, got {got}"


def _cut(larger: Tensor, like: Tensor) -> Tensor:
    """The middle of a map, as large as another."""
    (top, left), (height, width) = (
        ((a - b) // 2 for a, b in zip(larger.shape[2:], like.shape[2:], strict=True)),
        like.shape[2:],
    )
    return larger[:, :, top : top + height, left : left + width]
