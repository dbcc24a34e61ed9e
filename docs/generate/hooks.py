"""Hooks of mkdocs: generated pages join the site, measured figures are filled into pages."""

import posixpath
import sys
from functools import partial
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(path) for path in (ROOT, ROOT / "platform", ROOT / "jobs", ROOT / "storage")]

from docs.generate.charts import misallocation_chart  # noqa: E402
from docs.generate.command_line_page import command_line_page  # noqa: E402
from docs.generate.diagrams import flow_diagram, rooms_diagram  # noqa: E402
from docs.generate.equations import with_equations  # noqa: E402
from docs.generate.figures import with_figures  # noqa: E402
from docs.generate.fronts import front_of  # noqa: E402
from docs.generate.settings_page import settings_page  # noqa: E402
from docs.generate.tables_page import tables_page  # noqa: E402

FIELD = {
    "logistic": "Logistic regression",
    "mlp": "Perceptron",
    "four_nine": "4 against 9",
    "transformer": "A small transformer",
}
FRONTS = {"thousand": "MNIST 1,000", "smooth": "MNIST, 5,000 examples, smooth"}
GENERATED = {
    "reference/project-yaml.md": settings_page,
    "reference/command-line.md": command_line_page,
    "reference/tables.md": tables_page,
    "assets/rooms.svg": rooms_diagram,
    "assets/flow.svg": flow_diagram,
    "assets/misallocation.svg": misallocation_chart,
    **{f"assets/canonical-{key}.svg": partial(front_of, "canonical", key, title) for key, title in FIELD.items()},
    **{f"assets/front-{name}.svg": partial(front_of, "estimators", name, title) for name, title in FRONTS.items()},
}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is generated from the code."""
    for path, generate in GENERATED.items():
        files.append(File.generated(config, path, content=generate()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Set equations and fill in measured figures."""
    folder = posixpath.dirname(page.file.src_uri) or "."
    return with_figures(with_equations(markdown), posixpath.relpath("benchmarks", folder) + "/")
