"""Your own training loop and task: record the loop, and value what it learned.

Real measurements of wines from scikit-learn, dealt to four vineyards. The loop is plain PyTorch; two lines tell
tribute what it does.
"""

import numpy as np
import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax

import tribute


class Wines:
    """A small network; a query's measurement is the log-likelihood of its cultivar."""

    def build(self) -> nn.Module:
        """The model, freshly initialised."""
        return nn.Sequential(nn.Linear(13, 16), nn.GELU(), nn.Linear(16, 3))

    def training_loss(self, model, batch):
        """Loss of each example, [B]."""
        return cross_entropy(model(batch["measured"]), batch["cultivar"], reduction="none")

    def measurement(self, model, queries):
        """Log-likelihood of each query, [Q]."""
        return log_softmax(model(queries["measured"]), -1).gather(1, queries["cultivar"][:, None])[:, 0]


measured, cultivar = load_wine(return_X_y=True)
measured = ((measured - measured.mean(0)) / measured.std(0)).astype(np.float32)
order = np.random.default_rng(0).permutation(len(cultivar))
parts = np.split(order, [50, 80, 110, 130])
names = ("hillside", "riverbank", "valley", "cellar")
by_source = {
    name: {"measured": measured[part], "cultivar": cultivar[part]}
    for name, part in zip(names, parts, strict=False)
}
queries = {"measured": measured[parts[-1]], "cultivar": cultivar[parts[-1]]}

study = tribute.Study(Wines(), by_source)
x, y = (torch.from_numpy(study.data.columns[name]) for name in ("measured", "cultivar"))
for seed in range(2):
    torch.manual_seed(seed)
    model = Wines().build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with study.record(model, optimizer) as recorder:  # first line
        for _ in range(4):
            for indices in torch.randperm(len(y)).split(13):
                recorder.batch(indices)  # second line
                cross_entropy(model(x[indices]), y[indices]).backward()
                optimizer.step()
                optimizer.zero_grad()

values = study.value(study.attribute(queries))
print(values, "\n")
rights = {"hillside": "North Estates", "riverbank": "North Estates", "valley": "South Estates"}
rights["cellar"] = {"North Estates": "1/3", "South Estates": "2/3"}
print(values.shares(rights).allocate("2500.00 EUR"))
