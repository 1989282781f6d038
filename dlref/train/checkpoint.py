"""Write the whole state of a training run, and take it up again."""

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlref.train.callbacks import Callback, State
from dlref.train.processes import of_all, rank_and_world

_WRAPPERS = ("module.", "_orig_mod.")  # of several processes, and of torch.compile


def save(
    path: Path,
    state: State,
    scheduler: LRScheduler | None,
    callbacks: Sequence[Callback],
) -> None:
    """Write beside the file and move it into place.

    At every moment the file is whole. All processes call it, the first one writes.
    """
    kinds = _kinds(state, scheduler, callbacks)
    random_states = of_all(_random_state())  # the last thing that may draw is behind
    if rank_and_world()[0]:
        return
    content = {
        "epoch": state.epoch,
        "stop": state.stop,
        "history": state.history,
        "kinds": kinds,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "callbacks": [_state(callback) for callback in callbacks],
        "random": random_states,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(content, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _state(callback: Any) -> dict[str, Any] | None:
    return callback.state_dict() if hasattr(callback, "state_dict") else None


def _kinds(
    state: State, scheduler: LRScheduler | None, callbacks: Sequence[Callback]
) -> dict[str, Any]:
    return {
        "optimizer": _name(state.optimizer),
        "scheduler": None if scheduler is None else _name(scheduler),
        "callbacks": [_name(callback) for callback in callbacks],
    }


def _name(value: Any) -> str:
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _random_state() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  the legacy generator is what other libraries draw from
    return {
        "python": random.getstate(),
        "numpy": [kind, keys.tolist(), *rest],  # type: ignore[union-attr]
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
    }


def resume(
    path: Path,
    state: State,
    scheduler: LRScheduler | None,
    callbacks: Sequence[Callback],
    device: torch.device,
) -> None:
    """Read the file, refuse what is not of this run, and set everything to it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        kept = _unwrapped(content["model"])
        own = _unwrapped(state.model.state_dict())
        kinds, rank_states = content["kinds"], content["random"]
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} is not one that fit wrote: {error}"
        ) from error
    trouble = [
        *_other_model(kept, own),
        *_other_kinds(kinds, _kinds(state, scheduler, callbacks)),
        *_other_parameters(content["optimizer"], state.optimizer),
    ]
    if trouble:
        raise ValueError(
            f"checkpoint {path} is of another run: {trouble[0]}; name another file or "
            "remove it"
        )
    # what may still refuse comes first, and the weights last
    state.optimizer.load_state_dict(content["optimizer"])
    if scheduler is not None and content["scheduler"] is not None:
        scheduler.load_state_dict(content["scheduler"])
    for callback, value in zip(callbacks, content["callbacks"], strict=True):
        if value is not None:
            callback.load_state_dict(value)  # type: ignore[attr-defined]
    _load(state.model, kept)
    state.epoch = content["epoch"]
    state.stop = content["stop"]
    state.history = content["history"]
    rank = rank_and_world()[0]
    found = rank_states[rank] if rank < len(rank_states) else rank_states[0]
    version, keys, gauss = found["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, keys, *rest = found["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002  as in save
    torch.set_rng_state(found["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state_all(found["cuda"])


def _unwrapped(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights under the names that the model itself has for them."""
    found = {}
    for name, value in weights.items():
        while name.startswith(_WRAPPERS):
            name = name.removeprefix(_WRAPPERS[0]).removeprefix(_WRAPPERS[1])
        found[name] = value
    return found


def _load(model: nn.Module, kept: Mapping[str, Any]) -> None:
    names = zip(model.state_dict(), _unwrapped(model.state_dict()), strict=True)
    model.load_state_dict({wrapped: kept[name] for wrapped, name in names})


def _other_model(kept: Mapping[str, Any], own: Mapping[str, Any]) -> Iterable[str]:
    for name in sorted(kept.keys() ^ own.keys()):
        yield f"of model and checkpoint only one has {name}"
    for name in sorted(kept.keys() & own.keys()):
        shapes = [
            tuple(v.shape) for v in (kept[name], own[name]) if isinstance(v, Tensor)
        ]
        if len(set(shapes)) > 1:
            yield f"{name} has shape {shapes[0]} there and {shapes[1]} in the model"


def _other_kinds(kept: Mapping[str, Any], own: Mapping[str, Any]) -> Iterable[str]:
    for name in ("optimizer", "scheduler", "callbacks"):
        absent = name == "scheduler" and None in (kept[name], own[name])
        if kept[name] != own[name] and not absent:  # one may come, or go
            yield f"its {name} is {kept[name]}, not {own[name]}"


def _other_parameters(kept: Mapping[str, Any], optimizer: Optimizer) -> Iterable[str]:
    sizes = [
        [len(group["params"]) for group in groups]
        for groups in (kept["param_groups"], optimizer.param_groups)
    ]
    if sizes[0] != sizes[1]:
        yield f"its optimizer has groups of {sizes[0]} parameters, not {sizes[1]}"
