"""Named tensors in a file, in the format of safetensors: written without a copy, memory-mapped when read.

Tensors stay in their order, which `safetensors.torch` sorts.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from torch import Tensor

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
ALIGNMENT = 8


def tensor_content(tensors: Mapping[str, Tensor]) -> list[memoryview]:
    """The content of a file of tensors: its header, and a view of each tensor in this machine's memory."""
    header, views, end = dict[str, object](), list[memoryview](), 0
    for name, tensor in tensors.items():
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        begin, end = end, end + len(values)
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        views.append(values.numpy().data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return [memoryview(len(text).to_bytes(8, "little") + text), *views]


def read_tensors(path: Path, device: torch.device | None = None) -> dict[str, Tensor]:
    """The tensors of a file, in their order; on the CPU, they are read when they are used."""
    with safetensors.safe_open(path, framework="pt", device=str(device or "cpu")) as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}
