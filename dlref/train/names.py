"""Names of weights, whatever the model is wrapped in."""

from collections.abc import Mapping
from typing import Any

from torch import nn


def unwrapped(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under the names that the model itself has for them.

    ``torch.compile`` wraps a model or a part of it, several processes the whole model.
    """
    found = {name.replace("_orig_mod.", ""): v for name, v in weights.items()}
    while found and all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): v for name, v in found.items()}
    return found


def load_weights(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Load weights into a model, wherever either of them is wrapped."""
    kept, own = unwrapped(weights), model.state_dict()
    names = dict(zip(unwrapped(own), own, strict=True))
    model.load_state_dict({names.get(name, name): v for name, v in kept.items()})
