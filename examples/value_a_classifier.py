"""Value a classifier: which source of handwritten digits shaped the model's answers, and what is each owed?

Real digits from scikit-learn, dealt to five sources of unequal size. One source holds only the digits 0 to 4. In
another, a third of the labels are wrong: it is worth less than nothing, and is paid nothing.
"""

import numpy as np
from sklearn.datasets import load_digits

import tribute

pixels, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(labels))
pixels, labels = (pixels[order] / 16).astype(np.float32), labels[order]

by_source, first = {}, 0
for source, count in {"archive": 500, "museum": 300, "school": 200, "sloppy": 200, "zero_to_four": 200}.items():
    chosen = slice(first, first + count)
    by_source[source] = {"features": pixels[chosen], "labels": labels[chosen].copy()}
    first += count
small = by_source["zero_to_four"]["labels"] < 5
by_source["zero_to_four"] = {name: values[small] for name, values in by_source["zero_to_four"].items()}
by_source["sloppy"]["labels"][::3] = np.random.default_rng(1).integers(10, size=67)
queries = {"features": pixels[first:], "labels": labels[first:]}

study = tribute.Study(
    tribute.Classifier(features=64, hidden=(32,)),
    by_source,
    training=tribute.TrainingSettings(optimizer="sgd", learning_rate=0.1, epochs=4),
    replicates=3,
)
print(study.train(), "\n")

influence = study.attribute(queries)
values = study.value(influence, precision=0.05)
print(values, "\n")
print(values.shares().allocate("10000.00 EUR"), "\n")
print(study.evaluate(queries, seeds=2, subsets=10))
