"""A pagoda in the style of a stained tissue at 256 x 256 pixels, with L-BFGS and with Adam at four rates.

Each optimiser asks for the costs (one forward and one backward pass) as often; what the pictures are worth is the sum
that is minimised. The picture of the least sum is kept, in few colours.
"""

import base64
import io
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor

from dlref.data.images import square
from dlref.interpretation import Stylised, edge_vgg16, style_transfer
from dlref.optimization import Adam

SIZE = 256
ALPHA, BETA = 1.0, 0.1
EVALUATIONS = 300
RATES = (0.01, 0.02, 0.05, 0.1)
EVERY = 5  # of the costs so many are kept
COLOURS = 96
PROCESSES = 2


def data() -> dict[str, np.ndarray]:
    """The two pictures."""
    china, _ = load_sample_images().images
    return {"content": square(china, SIZE), "style": square(skimage.data.immunohistochemistry(), SIZE)}


@cache
def pictures() -> tuple[Tensor, Tensor]:
    """Content and style, (1, 3, 256, 256)."""
    content, style = (torch.tensor(image).permute(2, 0, 1)[None] / 255 for image in data().values())
    return content, style


def optimizer(rate: float | None, images: Any) -> torch.optim.Optimizer:
    """Adam with a rate, or L-BFGS."""
    if rate is not None:
        return Adam(images, lr=rate)
    return torch.optim.LBFGS(images, max_iter=20, history_size=20, line_search_fn="strong_wolfe")


def transferred(rate: float | None, evaluations: int) -> Stylised:
    """The picture, after at least so many evaluations."""
    content, style = pictures()
    net = edge_vgg16().requires_grad_(False)
    start = content + 0.02 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))
    steps = evaluations if rate is not None else -(-evaluations // 20)
    return style_transfer(
        net, content, style, start, alpha=ALPHA, beta=BETA, optimizer=lambda i: optimizer(rate, i), steps=steps
    )


def packed(image: Tensor) -> str:
    """A small file of the picture, as text."""
    values = (255 * image[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(values).quantize(COLOURS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def arm(rate: float | None) -> dict[str, Any]:
    """One optimiser."""
    torch.set_num_threads(1)
    made = transferred(rate, EVALUATIONS)
    total = ALPHA * np.array(made.content) + BETA * np.array(made.style)
    return {
        "rate": rate,
        "evaluations": len(total),
        "total": np.minimum.accumulate(total[:EVALUATIONS])[::EVERY].round(4).tolist(),
        "content": made.content[EVALUATIONS - 1],
        "style": made.style[EVALUATIONS - 1],
        "image": packed(made.image),
    }


def first(steps: int) -> list[float]:
    """The sums of the first steps of Adam, as shares of the first."""
    made = transferred(RATES[1], steps)
    total = ALPHA * np.array(made.content) + BETA * np.array(made.style)
    return (total / total[0]).tolist()


def run() -> dict[str, Any]:
    """All of it."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        arms = list(pool.map(arm, (None, *RATES)))
    best = min(arms, key=lambda found: found["total"][-1])
    image = best["image"]
    for found in arms:
        del found["image"]
    return {"seeds": [0], "size": SIZE, "every": EVERY, "arms": arms, "image": image}
