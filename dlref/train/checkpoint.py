"""Write the whole state of a training run, and take it up again."""

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LRScheduler

from dlref.train.callbacks import Callback, State


def save(
    path: Path,
    state: State,
    scheduler: LRScheduler | None,
    callbacks: Sequence[Callback],
) -> None:
    """Write beside the file and move it into place.

    At every moment the file is whole.
    """
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  the legacy generator is what other libraries draw from
    content = {
        "epoch": state.epoch,
        "stop": state.stop,
        "history": state.history,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "callbacks": [_state(callback) for callback in callbacks],
        "python": random.getstate(),
        "numpy": [kind, keys.tolist(), *rest],  # type: ignore[union-attr]
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all(),
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
        names = content["model"].keys()
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} is not one that fit wrote: {error}"
        ) from error
    if names != state.model.state_dict().keys() or len(content["callbacks"]) != len(
        callbacks
    ):
        raise ValueError(
            f"checkpoint {path} is of another model or other callbacks; name another "
            "file or remove it"
        )
    try:
        state.model.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"checkpoint {path} is of another model or optimizer: {error}"
        ) from error
    if scheduler is not None and content["scheduler"] is not None:
        scheduler.load_state_dict(content["scheduler"])
    for callback, kept in zip(callbacks, content["callbacks"], strict=True):
        if kept is not None:
            callback.load_state_dict(kept)  # type: ignore[attr-defined]
    state.epoch = content["epoch"]
    state.stop = content["stop"]
    state.history = content["history"]
    version, keys, gauss = content["python"]
    random.setstate((version, tuple(keys), gauss))
    kind, keys, *rest = content["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002  as in save
    torch.set_rng_state(content["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state_all(content["cuda"])
