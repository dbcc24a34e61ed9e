"""The task of a Hugging Face model: by the model's kind."""

from dataclasses import replace
from typing import Any

from tribute.errors import ConfigError
from tribute.tasks.huggingface.classification import HuggingFaceImages, HuggingFaceTexts
from tribute.tasks.huggingface.language import HuggingFaceLanguageModel
from tribute.tasks.huggingface.options import HuggingFace, library
from tribute.tasks.task import Task

TASKS: dict[str, Any] = {
    "causal_lm": HuggingFaceLanguageModel,
    "sequence_classifier": HuggingFaceTexts,
    "image_classifier": HuggingFaceImages,
}


def huggingface_task(**options: Any) -> Task:
    """The task of a model of transformers, from the options of `HuggingFace`.

    Raises:
        ConfigError: an option is refused; the extra `hf` is not installed; the model's config cannot be read, or
            does not say the kind of the model.
    """
    asked = HuggingFace(**options)
    if asked.kind is None:
        asked = replace(asked, kind=library("loading").kind_of(asked))
    if asked.kind is None:
        raise ConfigError(
            f"The config of {asked.model} names none of the supported architectures. Set task.options.kind to one "
            f"of {', '.join(TASKS)}"
        )
    made: Task = TASKS[asked.kind](**vars(asked))
    return made
