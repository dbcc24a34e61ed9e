"""The parameter groups of a torch optimizer, as settings that a replay understands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tribute.errors import ConfigError
from tribute.ids import listed
from tribute.tasks import Parameters

SLOTS = {"sgd": ("momentum_buffer",), "adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq")}
KINDS: dict[type, str] = {torch.optim.SGD: "sgd", torch.optim.Adam: "adam", torch.optim.AdamW: "adamw"}


@dataclass(frozen=True)
class ParameterGroups:
    """The groups that hold parameters: their settings, as keys of `training`, and the group of each parameter."""

    settings: tuple[dict[str, Any], ...]
    group_of: dict[str, int]

    @property
    def kind(self) -> str:
        """The optimizer of the first group."""
        return str(self.settings[0]["optimizer"])

    def recorded(self) -> dict[str, Any]:
        """Keys of `recording.json`: the settings of the first group, and of all if there are several."""
        if len(self.settings) == 1:
            return dict(self.settings[0])
        return self.settings[0] | {"groups": list(self.settings), "group_of": self.group_of}


def parameter_groups(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> ParameterGroups:
    """The groups of a torch optimizer over named parameters.

    Raises:
        ConfigError: the optimizer is of another kind, holds other parameters, or uses an option that cannot be
            replayed.
    """
    if type(optimizer) not in KINDS:
        raise ConfigError(f"{type(optimizer).__name__} cannot be replayed. Use torch.optim.SGD, Adam or AdamW")
    names = {id(value): name for name, value in parameters.items()}
    groups = filled_groups(optimizer)
    held = [id(value) for group in groups for value in group["params"]]
    if not held or set(held) != names.keys():
        missing = [name for key, name in names.items() if key not in held]
        which = f" (missing: {listed(missing)})" if missing else ""
        raise ConfigError(
            f"The optimizer does not hold exactly the trainable parameters of the model{which}. Pass it "
            "[p for p in model.parameters() if p.requires_grad]"
        )
    return ParameterGroups(
        tuple(_settings(KINDS[type(optimizer)], group) for group in groups),
        {names[id(value)]: number for number, group in enumerate(groups) for value in group["params"]},
    )


def filled_groups(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """The groups of an optimizer that hold parameters."""
    return [group for group in optimizer.param_groups if group["params"]]


def optimizer_slots(optimizer: torch.optim.Optimizer, kind: str, named: Parameters) -> tuple[Parameters, ...]:
    """The slots of an optimizer, of the shapes of the parameters; 0 before the first step."""

    def kept(parameter: Tensor, slot: str) -> Tensor:
        found = optimizer.state.get(parameter, {}).get(slot)
        return torch.zeros_like(parameter) if found is None else found

    return tuple({name: kept(value, slot) for name, value in named.items()} for slot in SLOTS[kind])


def _settings(kind: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the `training` section that describe a group."""
    if group.get("decoupled_weight_decay"):
        kind = "adamw"
    refused = [name for name in ("amsgrad", "maximize", "dampening") if group.get(name)]
    if refused:
        raise ConfigError(f"The optimizer option {refused[0]} cannot be replayed. Switch it off")
    common = {"optimizer": kind, "weight_decay": float(group["weight_decay"])}
    if kind == "sgd":
        return common | {"momentum": float(group["momentum"]), "nesterov": bool(group["nesterov"])}
    betas = [float(beta) for beta in group["betas"]]
    return common | {"betas": betas, "eps": float(group["eps"]), "eps_root": 0.0}
