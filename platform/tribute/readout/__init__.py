"""From responses to influences, by forward evaluations only."""

from tribute.readout.difference import ReadOut, difference
from tribute.readout.queries import attribution_run, period_queries, query_rows
from tribute.readout.replicates import QueryRows, influence_rows, read_out

__all__ = [
    "QueryRows",
    "ReadOut",
    "attribution_run",
    "difference",
    "influence_rows",
    "period_queries",
    "query_rows",
    "read_out",
]
