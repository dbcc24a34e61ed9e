"""The error of a shared head for models that are trained on text, at removals of some of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from tests.unit.readout.small import relative_error
from tests.unit.tasks.huggingface.conftest import all_float64  # noqa: F401
from tribute.readout import METHODS, PerturbedModel, QueryRows
from tribute.readout.shared_head import HEAD_TOLERANCE, HeadDifferences
from tribute.tasks import ByteLm, FlatTask, Scope, huggingface_task

PAGES = Path(__file__).parents[3] / "docs" / "explanation"
WINDOW, BATCH = 33, 8
STEPS, REMOVAL = 200, 40
LLAMA = {
    "vocab_size": 256,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}


def small_llama(folder: Path) -> FlatTask:
    config = transformers.LlamaConfig(architectures=["LlamaForCausalLM"], **LLAMA)
    config.save_pretrained(folder)
    return FlatTask(huggingface_task(model=str(folder), dropout=False))


def windows() -> list[Tensor]:
    """Rows of bytes of each page, [N, WINDOW]."""
    texts = [path.read_bytes() for path in sorted(PAGES.glob("*.md"))[:4]]
    return [
        torch.frombuffer(bytearray(text), dtype=torch.uint8)
        .long()[: len(text) // WINDOW * WINDOW]
        .view(-1, WINDOW)
        for text in texts
    ]


def trained(task: FlatTask, start_P: Tensor, scope: Scope, steps: int, without: int | None = None) -> Tensor:
    """Parameters after some steps of AdamW in a scope; the rows of a page count nothing if it is left out."""
    frozen, generator, pages = task.pieces(start_P), torch.Generator().manual_seed(0), windows()
    own = {name: value.clone().requires_grad_() for name, value in scope.part(frozen).items()}
    optimizer = torch.optim.AdamW(own.values(), 3e-3)
    for _ in range(steps):
        page_B = torch.randint(len(pages), (BATCH,), generator=generator).tolist()
        rows = [pages[page][torch.randint(len(pages[page]) - 1, (), generator=generator)] for page in page_B]
        losses_B = task.losses_at({**frozen, **own}, {"tokens": torch.stack(rows).int()})
        optimizer.zero_grad()
        (losses_B * torch.tensor([float(page != without) for page in page_B])).mean().backward()
        optimizer.step()
    return task.flatten({**frozen, **{name: value.detach() for name, value in own.items()}})


@pytest.mark.slow
@pytest.mark.usefixtures("all_float64")
@pytest.mark.parametrize(("name", "expression"), [("bytes", "last_block"), ("llama", r"layers\.1\.|model\.norm")])
def test_the_error_of_a_trained_model_is_far_below_the_tolerance(
    tmp_path: Path, name: str, expression: str
) -> None:
    own = FlatTask(ByteLm(context=WINDOW - 1, width=32, heads=2, layers=2)) if name == "bytes" else None
    task = own or small_llama(tmp_path)
    scope, theta_P = Scope(task, expression), task.initial(0).double()
    middle_P = trained(task, theta_P, Scope(task, "all"), STEPS)
    end_P = trained(task, middle_P, scope, REMOVAL)
    others = [trained(task, middle_P, scope, REMOVAL, page) for page in range(4)]
    response_Sp = torch.stack([scope.of(end_P - other_P) for other_P in others])
    perturbed = PerturbedModel(scope, end_P, response_Sp)
    rows = torch.stack([page[-1] for page in windows()]).int().numpy()
    queries = QueryRows(tuple("abcd"), {"tokens": rows}, np.arange(4))
    exact = METHODS["difference"](perturbed, queries, 1.0).influence_QS
    reader = HeadDifferences(perturbed, 1.0)
    with torch.no_grad():
        found = reader.read(queries).influence_QS
    assert reader.error is not None and reader.follows
    error, derivative = (
        relative_error(found, exact),
        relative_error(METHODS["jvp"](perturbed, queries, 1.0)[0], exact),
    )
    print(f"{name}: shared_head {error:.2e}, largest of a source {reader.error:.2e}, jvp {derivative:.2e}")
    assert 0 < error < HEAD_TOLERANCE / 5
    assert derivative > 10 * error
