"""Task `huggingface`: language models and classifiers of the library transformers, with PEFT adapters.

The libraries are imported when a model is built: `pip install 'tribute[hf]'`.
"""

from tribute.tasks.huggingface.factory import huggingface_task
from tribute.tasks.huggingface.options import HuggingFace

__all__ = ["HuggingFace", "huggingface_task"]
