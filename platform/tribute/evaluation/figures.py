"""The figures of a quality certificate: what an evaluation measured, as the lake keeps it in JSON.

Shares are parts of 1, effects are in nats. `null` in JSON is a number that was not measured or is not finite.
"""

import json
import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tribute.royalty.document import Repetition

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number that JSON holds as `null` if it is not finite; `null` is read as NaN."""


class CertificatePart(BaseModel):
    """A part of a certificate: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreFigure(CertificatePart):
    """A score with its 95% bootstrap interval."""

    value: Number
    low: Number
    high: Number


class MethodFigures(CertificatePart):
    """The scores and the costs of one method.

    ``kind``: `payment`, `readout`, `estimator` or `baseline`. ``prepare_in_trainings``: cost of its preparation,
    in trainings of the model. ``query_in_forwards``: cost of a query, in forward passes. ``stored_bytes``: what is
    kept for later queries, of all replicates, beside the trained models and the corpus. A division of the pool
    without influences of queries has no rank correlations.
    """

    method: str
    kind: str
    lds_half_other_seed: ScoreFigure | None = None
    lds_half_same_seed: ScoreFigure | None = None
    lds_tenth_other_seed: ScoreFigure | None = None
    lds_tenth_same_seed: ScoreFigure | None = None
    leave_source_out: ScoreFigure | None = None
    misallocated_pool: float | None
    prepare_in_trainings: Number
    query_in_forwards: float | None
    stored_bytes: int | None = None

    @property
    def lds_half(self) -> ScoreFigure | None:
        """LDS of random halves by another seed; by the estimate's own where there is no other."""
        return self.lds_half_other_seed or self.lds_half_same_seed


class PoolFigures(CertificatePart):
    """The misallocated pool of the values, of token counts and of equal shares, and the ceiling of retraining.

    ``ceiling`` is None for a single retraining seed.
    """

    misallocated_pool: Number
    token_count: Number
    equal: Number
    ceiling: float | None


class HeadlineFigures(PoolFigures):
    """``coverage_95``: part of the 95% intervals that hold the true share."""

    coverage_95: Number


class CeilingFigures(CertificatePart):
    """Scores that retraining itself reaches, measured against retraining under other seeds."""

    lds_half: Number
    lds_tenth: Number
    leave_source_out: float | None
    misallocated_pool: float | None


class PayeeFigures(CertificatePart):
    """A payee's share with its 95% interval, and its share by retraining."""

    source_id: str
    value: Number
    low: Number
    high: Number
    truth: Number


class EffectFigures(CertificatePart):
    """Predicted and real loss of all queries together; ``removed``: `one` unit, or a random `half`."""

    removed: str
    predicted: Number
    real: Number


class BrittlenessFigures(CertificatePart):
    """Mean loss of some queries without their own top units, and without the largest units (``token_count``)."""

    removed: int
    attribution: Number
    token_count: Number


class TailPatchFigures(CertificatePart):
    """Gain of a query from one training step on its top source, on any source, and on the largest one."""

    top: Number
    mean: Number
    token_count: Number


class QueryCounts(CertificatePart):
    """Queries that tuned, that were scored, and scored ones that do not resemble the corpus."""

    tuning: int
    figures: int
    unlike_corpus: int


class RetrainCounts(CertificatePart):
    """The seeds of the ground truth and the number of retrains of each kind; ``banked`` ones were there before.

    ``repetition``: how the model was trained without sources. ``steps``: of a checkpoint's further training.
    ``drift``: how far a replay without removal ends from its recording, as a part of the way, at most; None: it
    was not measured. Where recordings are replayed, ``seeds`` are all of theirs.
    """

    seeds: tuple[int, ...]
    leave_one_out: int
    half: int
    tenth: int
    other: int
    banked: int
    new: int
    repetition: Repetition = "retrained"
    steps: int | None = None
    drift: float | None = None


class Certificate(CertificatePart):
    """All figures of an evaluation, with the runs that it is about.

    ``coverage``: of each method that treats some parameters in another way than the rest, which. ``read_out``: the
    row that the project pays by, before calibration. ``smoothness``: distance of derivatives
    from small real changes of the training data. ``tail_patch`` is None for groups of sources; ``effects`` is
    empty where predictions are not in nats.
    """

    evaluate_run: str
    project: str
    period: str
    simulate_run: str
    train_run: str
    corpus_run: str
    parameters: int
    sources: int
    payees: int
    smoothness: float | None
    software: dict[str, str]
    read_out: str
    queries: QueryCounts
    headline: HeadlineFigures
    intervals: tuple[PayeeFigures, ...]
    warnings: tuple[str, ...]
    coverage: tuple[str, ...] = ()
    rows: tuple[MethodFigures, ...]
    ceiling: CeilingFigures
    retrains: RetrainCounts
    tail_patch: TailPatchFigures | None
    brittleness: tuple[BrittlenessFigures, ...]
    effects: tuple[EffectFigures, ...]

    def json_text(self) -> str:
        """The certificate as JSON with sorted keys."""
        return json.dumps(json.loads(self.model_dump_json()), sort_keys=True)
