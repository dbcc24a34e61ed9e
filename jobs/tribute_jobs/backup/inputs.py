"""The files that a project reads: those that its run ids are made of, and those that its statements rest on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tribute.catalog.runs import adopted_files, named_files
from tribute.catalog.task_code import task_code
from tribute.config import IdxQueriesSettings, InstalledDocsSettings, Project, UsageQueriesSettings
from tribute.corpus import corpus_content
from tribute.corpus.readers.usage import usage_files
from tribute.errors import CorpusError
from tribute.files.local_modules import search_beside
from tribute_jobs.backup.places import Places

INSTALLED = ("site-packages", "dist-packages")


@dataclass
class ProjectInputs:
    """Files by their place in the restored folder, and what the project needs that is not among them."""

    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def project_inputs(project: Project, places: Places) -> ProjectInputs:
    """All files that a project reads, wherever they lie: corpus, usage, rights, terms, checkpoint, own code."""
    found = ProjectInputs()
    for path in _named(project, found.notes):
        place = places.of(path)
        if place is not None and path.is_file():
            found.files[place] = path
        else:
            found.notes.append(f"{path} is not there, so it is not in the backup")
    _add_options(project, places, found)
    _add_code(project, places, found)
    if isinstance(project.corpus, InstalledDocsSettings):
        found.notes.append(
            "The corpus is what Python has installed. Install the same packages, as pip freeze lists them"
        )
    if project.tracking.enabled and project.tracking.uri is not None:
        found.notes.append("The MLflow records are on the server of tracking.uri, and not in the backup")
    return found


class _Asked:
    """Stands in for the digest of files, to learn which are asked for."""

    def __init__(self) -> None:
        self.paths = list[Path]()

    def __call__(self, path: Path) -> str:
        """Note the path."""
        self.paths.append(path)
        return ""


def _named(project: Project, notes: list[str]) -> Iterator[Path]:
    """Files that settings name."""
    corpus = _Asked()
    corpus_content(project.corpus, corpus)
    yield from corpus.paths
    rights, queries, training = project.rights, project.queries, project.training
    yield from filter(
        None, (rights.sources, rights.publishers, rights.agreements, rights.terms, project.money.fees)
    )
    if isinstance(queries, IdxQueriesSettings):
        yield from (queries.images, queries.labels)
    for path in queries.path if isinstance(queries, UsageQueriesSettings) else ():
        try:
            yield from usage_files([path])
        except CorpusError as problem:
            notes.append(f"{problem}. It is not in the backup")
    yield from (path for _, path in adopted_files(training) if path == training.checkpoint)
    for folder in training.recordings:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _add_options(project: Project, places: Places, found: ProjectInputs) -> None:
    """Files that options of the task name. Options count for run ids, so none is changed by a restoration."""
    for key, path in named_files(project):
        _, _, name = key.split("/")[0].split(".", 2)
        option = Path(project.task.options[name])
        place = places.keep(f"task.options.{name}", Path.cwd() / option)
        if option.is_absolute() or place != option.as_posix():
            note = f"task.options.{name} leads to {option}. Put {place} there"
            found.notes += [] if note in found.notes else [note]
        restored = places.of(Path.cwd() / path)
        assert restored is not None
        found.files[restored] = path


def _add_code(project: Project, places: Places, found: ProjectInputs) -> None:
    """The user's own modules, beside project.yaml where they lay elsewhere."""
    module, own, _ = project.task.name.partition(":")
    search_beside(project.task.folder)
    modules = _Asked()
    names = task_code(module, modules) if own else {}
    for path in modules.paths:
        if any(folder in path.parts for folder in INSTALLED):
            note = f"The task {module} is an installed package. Install it before the next run"
            found.notes += [] if note in found.notes else [note]
            continue
        name = next(each for each in sorted(names, key=len, reverse=True) if _fits(path, each))
        place = name.replace(".", "/")
        within = places.of(path)
        found.files[within or (f"{place}/__init__.py" if path.name == "__init__.py" else f"{place}.py")] = path


def _fits(path: Path, module: str) -> bool:
    """Whether a file is the source of a module, by its name."""
    plain = path.parent if path.name == "__init__.py" else path.with_suffix("")
    parts = module.split(".")
    return list(plain.parts[-len(parts) :]) == parts
