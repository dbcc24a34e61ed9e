"""Settings of a Trainer under which a run cannot be replayed."""

from collections.abc import Iterator
from typing import Any

import torch

from tribute.errors import ConfigError
from tribute.ids import listed

PRECISIONS = {"no": "float32", "bf16": "mixed_bfloat16"}
"""`training.precision` of each mixed precision that can be replayed."""


def precision_of(trainer: Any) -> str:
    """The `training.precision` of a Trainer that was not refused."""
    return PRECISIONS[trainer.accelerator.mixed_precision]


def refuse_arguments(trainer: Any) -> None:
    """Check the settings of a Trainer.

    Raises:
        ConfigError: the run could not be replayed; names each setting, with its remedy.
    """
    found = list(_refused(trainer))
    if found:
        raise ConfigError(f"This Trainer cannot be recorded. {' '.join(found)}")


def _refused(trainer: Any) -> Iterator[str]:
    args, model = trainer.args, trainer.model
    if args.label_smoothing_factor:
        yield f"label_smoothing_factor is {args.label_smoothing_factor}: the task's loss has none. Set it to 0."
    if getattr(args, "neftune_noise_alpha", None) is not None:
        yield "neftune_noise_alpha adds noise to the embeddings, which a replay draws otherwise. Set it to None."
    if trainer.compute_loss_func is not None:
        yield "compute_loss_func is a loss of your own. Leave it out, or use tribute.training.Recorder."
    if getattr(args, "loss_type", "nll") != "nll":
        yield f"loss_type is {args.loss_type}: the task's loss is the mean log-likelihood. Set it to nll."
    if trainer.accelerator.mixed_precision not in PRECISIONS:
        yield f"The mixed precision {trainer.accelerator.mixed_precision} cannot be replayed. Use bf16=True."
    if args.auto_find_batch_size:
        yield "auto_find_batch_size begins anew after an error. Set the batch size that it finds."
    if args.load_best_model_at_end:
        yield (
            "load_best_model_at_end ends with other parameters than the last step. Set it to False, or max_steps "
            "to that of the best checkpoint."
        )
    if args.n_gpu > 1:
        yield "Several GPUs in one process are DataParallel. Start a process for each, by torchrun."
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled or getattr(args, "parallelism_config", None):
        yield "The parameters are divided among processes. Record with whole parameters in each (DDP)."
    config = getattr(model, "config", None)
    if getattr(config, "output_router_logits", False) or getattr(trainer, "aux_loss_enabled", False):
        yield "output_router_logits adds a loss that couples the rows of a batch. Set it to False in model.config."
    narrow = [name for name, value in model.named_parameters() if value.requires_grad and _is_narrow(value)]
    if narrow:
        yield (
            f"{len(narrow)} parameters train in a precision below float32 ({listed(narrow)}): their steps are "
            "rounded. Load the model with dtype=torch.float32; with bf16=True it still computes in bfloat16."
        )


def _is_narrow(value: torch.Tensor) -> bool:
    return torch.promote_types(value.dtype, torch.float32) is not value.dtype
