"""Write the whole state of a training run, and take it up again."""

import copy
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlref.train.callbacks import Callback, State
from dlref.train.names import load_weights, unwrapped
from dlref.train.processes import of_all, rank_and_world


def save(
    path: Path,
    state: State,
    scheduler: LRScheduler | None,
    callbacks: Sequence[Callback],
    generators: Sequence[torch.Generator] = (),
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
        "steps": state.steps,
        "generators": [generator.get_state() for generator in generators],
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
        torch.save(_plain(content), part)
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
    generators: Sequence[torch.Generator] = (),
) -> None:
    """Read the file, refuse what is not of this run, and set everything to it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        kept = unwrapped(content["model"])
        own = unwrapped(state.model.state_dict())
        kinds, rank_states, _ = (content[k] for k in ("kinds", "random", "steps"))
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
    parts: list[tuple[Any, Any]] = [(state.optimizer, content["optimizer"])]
    if scheduler is not None and content["scheduler"] is not None:
        parts.append((scheduler, content["scheduler"]))
    parts += zip(callbacks, content["callbacks"], strict=True)
    _load([(part, value) for part, value in parts if value is not None], path)
    load_weights(state.model, kept)
    state.epoch = content["epoch"]
    state.stop = content["stop"]
    state.history, state.steps = content["history"], content["steps"]
    for generator, value in zip(generators, content["generators"], strict=False):
        generator.set_state(value)
    rank = rank_and_world()[0]
    found = rank_states[rank] if rank < len(rank_states) else rank_states[0]
    version, keys, gauss = found["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, keys, *rest = found["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002  as in save
    torch.set_rng_state(found["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state_all(found["cuda"])


def _load(parts: list[tuple[Any, Any]], path: Path) -> None:
    """Load every part, or none of them."""
    before = [copy.deepcopy(part.state_dict()) for part, _ in parts]
    try:
        for part, value in parts:
            part.load_state_dict(value)
    except Exception as error:
        for (part, _), value in zip(parts, before, strict=True):
            part.load_state_dict(value)
        raise ValueError(
            f"checkpoint {path} is of another run: {error}; name another file or "
            "remove it"
        ) from error


def _plain(value: Any) -> Any:
    """The same without NumPy's numbers, which would not be read back."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return (
            type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
        )
    return value


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
