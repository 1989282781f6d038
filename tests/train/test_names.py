"""Mirrors dlref/train/names.py."""

import pytest
import torch
from torch import nn

from dlref.train.names import load_weights, unwrapped


def test_wrappers_are_taken_off_however_many():
    """Of the whole model, or of a part that is compiled; a part that is called so keeps its name."""
    weights = {"module._orig_mod.a.weight": 1, "module.module.b": 2}
    assert unwrapped(weights) == {"a.weight": 1, "module.b": 2}
    assert unwrapped({"module.module.a": 1, "module.module.b": 2}) == {"a": 1, "b": 2}
    assert unwrapped({"a._orig_mod.weight": 1, "module.b": 2}) == {"a.weight": 1, "module.b": 2}
    assert unwrapped({}) == {}


@pytest.mark.parametrize("wrapped", ["", "module.", "_orig_mod."])
def test_weights_are_loaded_from_and_into_wrappers(wrapped):
    weights = {f"{wrapped}{name}": value for name, value in nn.Linear(3, 2).state_dict().items()}
    inside, plain = nn.Module(), nn.Linear(3, 2)
    inside.module = nn.Linear(3, 2)
    for model in (inside, plain):
        load_weights(model, weights)
        for value, kept in zip(model.state_dict().values(), weights.values(), strict=True):
            assert torch.equal(value, kept)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_weights(plain, {**weights, "other": torch.ones(1)})
