"""The files of a Hugging Face tokenizer: a folder, or a hub's copy of one on this machine."""

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tribute.errors import ConfigError
from tribute.files.digests import file_sha256
from tribute.ids import excerpt, short_words

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
)
"""What a tokenizer is made of; a folder has some of them. Weights beside them do not count."""
MODEL = "config.json"
"""Names the kind of tokenizer where no `tokenizer_config.json` does."""
INSTALL = "Install it: pip install 'tribute[hf]'"


def tokenizer_sha256(name: str, sha256: Callable[[Path], str] = file_sha256) -> str:
    """SHA-256 of a tokenizer's files, whatever the place of their folder.

    Raises:
        ConfigError: there is no such tokenizer.
    """
    lines = (f"{path.name} {sha256(path)}\n" for path in tokenizer_files(tokenizer_folder(name)))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def tokenizer_folder(name: str) -> Path:
    """The folder of a tokenizer: as named, or a hub's copy on this machine, fetched if there is none.

    Raises:
        ConfigError: there is no such tokenizer.
    """
    path = Path(name)
    if path.is_file():
        raise ConfigError(f"The tokenizer {excerpt(name)} is a file. Name its folder")
    if not path.is_dir():
        if path.is_absolute():
            raise ConfigError(f"The tokenizer's folder {excerpt(name)} does not exist. Correct its path")
        path = _of_hub(name)
    if not tokenizer_files(path):
        raise ConfigError(
            f"The tokenizer {excerpt(name)} has no tokenizer.json. Save it there with save_pretrained"
        )
    return path


def tokenizer_files(folder: Path) -> list[Path]:
    """Those files of a folder that a tokenizer is made of."""
    found = [path for name in FILES if (path := folder / name).is_file()]
    is_named = (folder / "tokenizer_config.json").is_file()
    return found if is_named or not found else [*found, *filter(Path.is_file, [folder / MODEL])]


def _of_hub(name: str) -> Path:
    try:
        hub = import_module("huggingface_hub")
    except ImportError:
        raise ConfigError(
            f"The tokenizer {excerpt(name)} is no folder; to fetch it from a hub needs the extra hf. {INSTALL}"
        ) from None
    try:
        return Path(hub.snapshot_download(name, allow_patterns=[*FILES, MODEL]))
    except Exception as error:  # of the network, the hub, or the name
        raise ConfigError(
            f"The tokenizer {excerpt(name)} is neither a folder nor a hub's id that can be fetched: "
            f"{short_words(str(error)).rstrip('.')}. Correct corpus.tokenizer, or name a local folder"
        ) from None
