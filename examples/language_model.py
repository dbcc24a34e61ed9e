"""A small language model of bytes: which text shaped what it says?

Real text: the descriptions of five data sets that ship with scikit-learn. The queries are the end of each text.
"""

import numpy as np
from sklearn import datasets

import tribute
from tribute.corpus import text_queries, text_windows

WINDOW = 33
texts = {
    "breast_cancer": datasets.load_breast_cancer().DESCR,
    "diabetes": datasets.load_diabetes().DESCR,
    "digits": datasets.load_digits().DESCR,
    "iris": datasets.load_iris().DESCR,
    "wine": datasets.load_wine().DESCR,
}
by_source = {name: {"tokens": text_windows([text[:-400]], WINDOW)} for name, text in texts.items()}
queries = text_queries(list(texts), [text[-400:] for text in texts.values()], WINDOW)

study = tribute.Study(
    tribute.ByteLm(context=WINDOW - 1, width=32, heads=2, layers=1),
    by_source,
    training=tribute.TrainingSettings(learning_rate=0.01, batch_size=16, epochs=4),
    replicates=2,
)
print(study.train(), "\n")

for method in ("paired", "gradient_dot", "trak"):
    influence = study.attribute(queries, method=method)
    helped_S = np.clip(influence.influence_QS.sum(0), 0, None)
    parts = zip(study.source_ids, helped_S / helped_S.sum(), strict=True)
    print(f"{method:>12}:", ", ".join(f"{name} {part:.0%}" for name, part in parts))

values = study.value(study.attribute(queries))
print()
print(values.shares().allocate("1000.00 USD"))
