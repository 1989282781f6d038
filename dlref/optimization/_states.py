"""Saved states: what they must hold to be those of a rule."""

from typing import Any

import torch
from torch import Tensor


def check_state(rule: Any, state: dict[str, Any]) -> None:
    """Refuse the state of another rule; fill in what one of an older torch lacks."""
    for group in state["param_groups"]:
        for name, usual in rule._later.items():
            group.setdefault(name, usual)
        for name in (*rule._intervals, *rule._kind):
            if name not in group:
                raise ValueError(
                    f"state_dict must hold {name} in each group, got one of another "
                    "optimizer"
                )
        for name, value in rule._kind.items():
            if group[name] != value:
                raise ValueError(
                    f"state_dict must be of an optimizer with {name}={value}, got "
                    f"{name}={group[name]}"
                )
        rule._check_group(group)
        for theta in group["params"]:
            _check_memory(rule, theta, state["state"].get(theta) or {}, group)


def _check_memory(
    rule: Any, theta: Tensor, memory: dict[str, Any], group: dict[str, Any]
) -> None:
    for name, value in memory.items():
        if name not in rule._names and value is not None:
            raise ValueError(
                f"state_dict must hold {', '.join(rule._names) or 'nothing'} of each "
                f"parameter, got {name}"
            )
    for name in rule._memory(group) if memory else ():
        if name not in memory:
            raise ValueError(
                f"state_dict must hold {name} of each parameter, got "
                f"{', '.join(map(repr, memory))}"
            )
    for name, value in memory.items():
        if name == "step":
            memory[name] = torch.as_tensor(value, dtype=torch.float32)
        elif value is not None and value.shape != theta.shape:
            raise ValueError(
                f"state_dict must hold {name} of shape {tuple(theta.shape)}, got "
                f"{tuple(value.shape)}"
            )


def begun(rule: Any, theta: Tensor, group: dict[str, Any]) -> dict[str, Any]:
    """What the rule keeps of a parameter; zeros at first."""
    memory = rule.state[theta]
    if not memory:
        names = [name for name in rule._memory(group) if name != "step"]
        memory |= {name: torch.zeros_like(theta) for name in names}
        memory["step"] = torch.tensor(0.0)
    return memory


def plain(group: dict[str, Any]) -> dict[str, Any]:
    """The group, with a number for a rate that is given as a tensor."""
    lr = group["lr"]
    return {**group, "lr": lr.item()} if isinstance(lr, Tensor) else group
