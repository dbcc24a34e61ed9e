"""Responses that are read when they are used: the same influences, from less memory."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.unit.readout.memory import PeakMemory
from tests.unit.readout.small import relative_error, texts, transformer
from tribute.errors import DamagedFile
from tribute.readout import METHODS, PerturbedModel, StoredResponses, stored_responses
from tribute.readout.block import softmax
from tribute.simulation import ResponseFile, write_response

GIB = 2**30
CASES = [
    ("difference", "all"),
    ("difference", "last_block"),
    ("shared_trunk", "last_block"),
    ("shared_head", "last_block"),
    ("jvp", "all"),
    ("jvp", "last_block"),
    ("adjoint", "last_block"),
]


SLOW = [("difference", "last_block"), ("jvp", "all")]


def copied(response_Sp: Tensor) -> StoredResponses:
    """The same responses, each in memory of its own whenever it is read."""
    return StoredResponses(len(response_Sp), lambda source: response_Sp[source].clone())


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("method", "scope"), CASES)
def test_responses_that_are_read_when_used_have_the_same_influences(
    method: str, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(softmax, "TOP", 256)
    perturbed = transformer(torch.float64, scope, sources=5)
    assert isinstance(perturbed.response_Sp, Tensor)
    perturbed.response_Sp[2] = 0
    expected = METHODS[method](perturbed, texts(), 1.0)
    read = replace(perturbed, response_Sp=copied(perturbed.response_Sp))
    found = METHODS[method](read, texts(), 1.0)
    assert relative_error(found.influence_QS, expected.influence_QS) < 1e-12
    assert not found.influence_QS[:, 2].any()
    assert torch.equal(found.measurement_Q, expected.measurement_Q)


@pytest.mark.parametrize(("method", "scope"), [case for case in CASES if case not in SLOW])
def test_memory_does_not_grow_with_the_sources(method: str, scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses that exceed the budget are not in memory at once."""
    monkeypatch.setattr(softmax, "GATHERED", 2**14)
    one = transformer(torch.float32, scope, sources=1)
    assert isinstance(one.response_Sp, Tensor)
    response_p, size = one.response_Sp[0], one.scope.size * 4
    sources, memory_gib = 60 if scope == "all" else 200, 40 * one.scope.task.size * 4 / GIB
    perturbed = PerturbedModel(
        one.scope, one.theta_P, StoredResponses(sources, lambda s: response_p * (1 + s / sources))
    )
    with PeakMemory() as memory:
        found = METHODS[method](perturbed, texts(), memory_gib)
    assert bool(found.influence_QS.any(0).all())
    assert memory.peak < memory_gib * GIB < sources * size


def stored(folder: Path, responses: PerturbedModel) -> list[ResponseFile]:
    files = []
    for source, response_p in enumerate(responses.response_Sp[:]):
        path = folder / f"{source}.safetensors"
        sha256 = write_response(path, responses.scope.pieces(response_p))
        files.append(ResponseFile(str(source), 0, path, sha256))
    return files


def test_files_are_held_in_memory_if_they_fit(tmp_path: Path) -> None:
    perturbed = transformer(torch.float32, "last_block", sources=3)
    files, device = [*stored(tmp_path, perturbed), None], torch.device("cpu")
    held = stored_responses(perturbed.scope, files, device, 4 * perturbed.scope.size * 4 / GIB)
    read = stored_responses(perturbed.scope, files, device, 3.9 * perturbed.scope.size * 4 / GIB)
    assert isinstance(held, Tensor) and isinstance(read, StoredResponses)
    assert len(read) == 4 and held[3].isnan().all() and read[3:].isnan().all()
    assert torch.equal(held[:3], perturbed.response_Sp[:]) and torch.equal(read[1:3], held[1:3])


def test_a_damaged_file_is_refused_before_any_is_used(tmp_path: Path) -> None:
    perturbed = transformer(torch.float32, "last_block", sources=2)
    files = stored(tmp_path, perturbed)
    files[1].path.write_bytes(files[1].path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(DamagedFile):
        stored_responses(perturbed.scope, files, torch.device("cpu"), 0.0)
