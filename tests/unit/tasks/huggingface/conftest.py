"""A model of transformers in float64 throughout."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional


@pytest.fixture
def all_float64(monkeypatch: pytest.MonkeyPatch, float64: None) -> Iterator[None]:  # noqa: ARG001
    """Float64 where transformers asks for float32: in norms, rotations, routers and softmax."""
    to, softmax = torch.Tensor.to, functional.softmax

    def wide_to(value: torch.Tensor, *inputs: object, **options: object) -> torch.Tensor:
        asked = [torch.float64 if each is torch.float32 else each for each in inputs]
        return to(
            value,
            *asked,
            **(options | ({"dtype": torch.float64} if options.get("dtype") is torch.float32 else {})),
        )

    def wide_softmax(value: torch.Tensor, *inputs: object, **options: object) -> torch.Tensor:
        return softmax(value, *inputs, **{key: each for key, each in options.items() if key != "dtype"})

    monkeypatch.setattr(torch.Tensor, "to", wide_to)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    monkeypatch.setattr(functional, "softmax", wide_softmax)
    yield
