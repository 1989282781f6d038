"""Names of weights, whatever the model is wrapped in."""

from collections.abc import Mapping
from typing import Any

from torch import nn

_WRAPPERS = ("module.", "_orig_mod.")  # of several processes, and of torch.compile


def unwrapped(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under the names that the model itself has for them."""
    found = {}
    for name, value in weights.items():
        while name.startswith(_WRAPPERS):
            name = name.removeprefix(_WRAPPERS[0]).removeprefix(_WRAPPERS[1])
        found[name] = value
    return found


def load_weights(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Load weights into a model, wherever either of them is wrapped."""
    kept, own = unwrapped(weights), model.state_dict()
    names = dict(zip(unwrapped(own), own, strict=True))
    model.load_state_dict({names.get(name, name): v for name, v in kept.items()})
