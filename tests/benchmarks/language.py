"""Language models: what a simulation costs, against plain training of the same model.

Into build/bench/language.json. Without the extra `hf` it cannot run.
"""

from tests.benchmarks.language_cost import costs, show
from tests.benchmarks.results import update_results


def main() -> None:
    """Run the benchmark."""
    figures = costs()
    show(figures)
    update_results("language", figures)


if __name__ == "__main__":
    main()
