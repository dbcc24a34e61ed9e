"""A message shows at most 80 characters of anybody's text, and a few of many problems, wherever they stand."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tribute.config import TextCorpusSettings, load_project
from tribute.corpus.crediting.claims import read_claims
from tribute.corpus.readers.usage import usage_queries
from tribute.corpus.reading import read_corpus
from tribute.errors import TributeError
from tribute.ids import SHOWN
from tribute.royalty.terms.agreements import read_agreements
from tribute.royalty.terms.licences import read_terms, terms_findings
from tribute.royalty.terms.rights_file import read_rights
from tribute_jobs.period.terms import customer_fees

MARK = "§"
"""Stands for what somebody wrote; nothing of ours has it."""
LONG = MARK * 700
MOST = 9000
"""Characters of a message on a file of many faults."""
SEVERAL = [
    LONG,
    LONG + "\0",
    f"-{LONG}",
    [LONG],
    {LONG: LONG},
    {f"{LONG}{n}": LONG for n in range(50)},
    [LONG] * 50,
]
ONE_FILE = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def shows_little(read: Callable[[], object]) -> None:
    """A refusal, if there is one, shows little of the marked text."""
    try:
        read()
    except TributeError as error:
        runs = re.findall(f"{MARK}+", str(error))
        assert max(map(len, runs), default=0) <= SHOWN, str(error)[:400]
        assert len(str(error)) < MOST, f"{len(str(error))} characters"


def fees(path: Path) -> object:
    project = path.with_name("fees.yaml")
    project.write_text(f"name: p\ncorpus: {{kind: text, path: c}}\nmoney: {{fees: {path.name}}}\n")
    return customer_fees(load_project(project))


def publishers(path: Path) -> object:
    sources = path.with_name("sources.csv")
    sources.write_text("source_id,publisher_id\n" + "".join(f"s{n},{LONG}{n}\n" for n in range(30)))
    return read_rights(sources, path)


MONEY: dict[str, tuple[Callable[[Path], object], str]] = {
    "rights": (lambda path: read_rights(path, None), "source_id,publisher_id,split,valid_from,valid_to"),
    "publishers": (publishers, "publisher_id,name"),
    "agreements": (
        lambda path: read_agreements(path, ["p"]),
        "publisher_id,currency,rate,advance,payout_threshold",
    ),
    "terms": (read_terms, "source_id,license,rsl,tdm_reservation"),
    "claims": (read_claims, "source_id,claimed"),
    "fees": (fees, "customer_id,fee"),
}


def csv_of(columns: list[str], wide: str, place: int) -> list[str]:
    """Files with a long text in a column, a header, or in many rows."""
    plain = ["1"] * len(columns)
    row = ",".join(wide if index == place else cell for index, cell in enumerate(plain))
    header, quoted = ",".join(columns), f'"{wide}"'
    return [
        f"{header}\n{row}\n", f"{header},{wide}\n{row},1\n", f"{wide},{wide}\n1,2\n", f"sep={wide}\n{header}\n",
        f"{wide};b\n1;2\n", f"{wide}\n1\n", f"{header}\n{row},{wide}\n", f'{header}\n"{row}\n',
        f"{quoted}\n{quoted}\n",
        f"{header}\n" + "".join(f"{row}{number // 2}\n" for number in range(100)),
        f"{','.join(f'{wide}{number}' for number in range(50))}\n{','.join(['1'] * 50)}\n",
    ]  # fmt: skip


@pytest.mark.parametrize("what", MONEY)
def test_money_files_in_csv(tmp_path: Path, what: str) -> None:
    read, header = MONEY[what]
    columns = header.split(",")
    for place in range(len(columns)):
        for text in csv_of(columns, LONG, place) + csv_of(columns, f"{LONG}\0", place):
            (tmp_path / "rows.csv").write_text(text)
            shows_little(lambda: read(tmp_path / "rows.csv"))


@pytest.mark.parametrize("what", MONEY)
@pytest.mark.parametrize(
    "form",
    [
        "- {T}\n", "{T}: 1\n", "- {{{T}: 1}}\n", "- {{{C}: [{T}]}}\n", "- {{{C}: {{a: {T}}}}}\n",
        "- {{{C}: *{T}}}\n", "- {{{C}: !{T} a}}\n", "- {{{C}: '{T}\n", "- {{{T}: 1, {T}: 2}}\n",
        "- {C}: &{T} 1\n- b: &{T} 2\n",
        "%{T}\n---\n",
        "@{T}\n", "- {C}: 1\n {T}: 1\n", "- ? [{T}]\n  : 1\n", "{T}",
    ],
)  # fmt: skip
def test_money_files_in_yaml(tmp_path: Path, what: str, form: str) -> None:
    read, header = MONEY[what]
    (tmp_path / "rows.yaml").write_text(form.format(T=LONG, C=header.partition(",")[0]))
    shows_little(lambda: read(tmp_path / "rows.yaml"))


@pytest.mark.parametrize("what", MONEY)
def test_money_files_in_parquet(tmp_path: Path, what: str) -> None:
    read, header = MONEY[what]
    first, *_ = columns = header.split(",")
    path = tmp_path / "rows.parquet"
    for table in (
        pa.table({LONG: [b"\xff"]}),
        pa.table({f"{LONG}{number}": ["a"] for number in range(40)}),
        pa.table({name: [[LONG]] if name == first else ["1"] for name in columns}),
        pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=[LONG, LONG]),
    ):
        pq.write_table(table, path)
        shows_little(lambda: read(path))


def test_declared_terms_are_cut_in_findings(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text(f"source_id,license,tdm_reservation\n{LONG},{LONG} {LONG},{LONG}\nb,{LONG},\n")
    for finding in terms_findings(read_terms(path).values()):
        assert MARK * (SHOWN + 1) not in finding.text


SECTIONS = {
    "corpus": ["kind", "window", "held_out", "duplicates"], "task": ["name", "options"],
    "pool": ["id", "amount", "rate"],
    "training": ["optimizer", "betas", "recordings"], "simulation": ["mode"], "attribution": ["method", "options"],
    "valuation": ["estimates"], "queries": ["kind", "path"], "money": ["alarms"], "readout": ["method"],
    "evaluation": ["estimators"], "rights": ["sources"], "cluster": ["workers"],
}  # fmt: skip
KEYS = st.sampled_from(
    [(section, key) for section, keys in SECTIONS.items() for key in [*keys, LONG]] + [("", LONG)]
)


@ONE_FILE
@given(
    st.lists(st.tuples(KEYS, st.sampled_from([*SEVERAL, [{LONG: 1}], 1e300, True, None])), min_size=1, max_size=4)
)
def test_project_files(tmp_path: Path, faults: list[tuple[tuple[str, str], object]]) -> None:
    project: dict = {"name": "p", "corpus": {"kind": "text", "path": "c.jsonl"}}
    for (section, key), value in faults:
        (project.setdefault(section, {}) if section else project)[key] = value
    (tmp_path / "project.yaml").write_text(json.dumps(project, ensure_ascii=False))
    shows_little(lambda: load_project(tmp_path / "project.yaml"))


TEXT = "word " * 100
CELLS = st.sampled_from([*SEVERAL, TEXT, 10**400, True, None, 1.5, [{"role": LONG, "content": LONG}]])


@ONE_FILE
@given(st.dictionaries(st.sampled_from(["source", "text", "claimed", LONG]), CELLS, min_size=1))
def test_corpora(tmp_path: Path, row: dict) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({"source": LONG, "text": TEXT}) + "\n")
    shows_little(lambda: read_corpus(TextCorpusSettings(kind="text", path=path)))


COLUMNS = ["query_id", "text", "time", "period", "customer_id", "weight", "inclusion_probability", LONG]


@ONE_FILE
@given(st.dictionaries(st.sampled_from(COLUMNS), CELLS, min_size=1))
def test_uses(tmp_path: Path, row: dict) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_text((json.dumps({"query_id": LONG, "text": TEXT} | row) + "\n") * 2)
    shows_little(lambda: usage_queries(path, 33))


@pytest.mark.parametrize(
    "raw",
    [LONG, f'{{"source": "{LONG}"', f'{{"{LONG}": 1, "{LONG}": 2}}', f'{{"text": "{LONG}\\x"}}', f'["{LONG}"]'],
)  # fmt: skip
def test_lines_that_are_no_json(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(raw + "\n")
    shows_little(lambda: read_corpus(TextCorpusSettings(kind="text", path=path)))
    shows_little(lambda: usage_queries(path, 33))
