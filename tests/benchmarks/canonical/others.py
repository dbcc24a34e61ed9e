"""Methods of other libraries on a setting: traker, dattri and kronfluence, as in the benchmark `evaluation`."""

from collections.abc import Iterator

from tests.benchmarks import peers
from tests.benchmarks.canonical.methods import Estimated
from tests.benchmarks.canonical.retraining import full_finals
from tests.benchmarks.canonical.settings import OWN_SEED, PerceptronSetting


def peer_methods(setting: PerceptronSetting) -> Iterator[Estimated]:
    """Scores of every example by every method, with one model, and by TRAK with ten.

    Gradients are of margins: a query's order of examples is that of its log-likelihood. Nothing for a network
    with a single output, which has no margin in the peers' worker.
    """
    widths = setting.task.widths
    if widths[-1] == 1:
        print(f"{setting.name}: the other libraries are run on networks with an output for each class")
        return
    finals = [full_finals(setting.recipe(OWN_SEED))]
    for each in peers.judge_examples(setting.recipe, widths, "relu", finals, setting.query_rows):
        yield Estimated(*each)
