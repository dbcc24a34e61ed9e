"""The terms of a period, from `project.yaml` and the lake: pools, policy, customers' fees, quality certificate."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tribute.catalog import lineage, run_id
from tribute.config import Project
from tribute.errors import MoneyError, PolicyError, RightsError
from tribute.files.records import FileRow, read_records
from tribute.ids import short
from tribute.royalty.division import Policy, parse_policy, policy_json
from tribute.royalty.document import QualityCertificate
from tribute.royalty.exact import canonical_json, parse_money
from tribute.royalty.exact.text import exact_fraction, plain
from tribute.royalty.statement import Pool
from tribute.royalty.terms.cells import id_cell, text_cell
from tribute_storage import SCHEMAS, Basis, Lake, open_tables


def period_pools(project: Project) -> tuple[Pool, ...]:
    """The pools of a period.

    Raises:
        MoneyError: an amount does not fit its currency, or a rate is no exact part.
    """
    return tuple(
        Pool(
            each.id,
            each.currency,
            parse_money(each.amount, each.currency).minor,
            tuple((name, parse_money(amount, each.currency).minor) for name, amount in each.deductions.items()),
            _part(each.id, each.rate),
        )
        for each in project.divided()
    )


def customer_fees(project: Project) -> dict[str, Fraction]:
    """What each customer paid, exact; empty without a file.

    Raises:
        MoneyError: the file cannot be used; names row and column.
    """
    path = project.money.fees
    if path is None:
        return {}
    found: dict[str, Fraction] = {}
    for row in _rows(path):
        try:
            customer, written = id_cell(row, "customer_id"), text_cell(row, "fee")
            fee = exact_fraction(written) if "/" not in written else None
        except (RightsError, ValueError) as problem:
            raise MoneyError(f"{path}, {row.where}, {problem}") from None
        if fee is None:
            raise MoneyError(f"{path}, {row.where}, column fee: {written!r} is not an amount such as 19.90")
        if customer in found:
            raise MoneyError(f"{path}, {row.where} repeats customer {short(customer)}. Add its fees up")
        found[customer] = fee
    return found


def period_policy(project: Project) -> Policy:
    """The policy of `project.yaml`; without one, the default.

    Raises:
        PolicyError: a key or value cannot be used.
    """
    return parse_policy(project.policy)


def registered_policy(project: Project, lake: Lake, period: str, reason: str = "") -> tuple[Policy, bool]:
    """The policy of `project.yaml`, and whether a period is registered under it.

    Raises:
        PolicyError: another policy is registered, and no reason is given for changing it.
    """
    rule = period_policy(project)
    with open_tables(lake.root, "policies") as connection:
        known = connection.execute(
            "select p.name, p.version, p.sha256, p.json from policies p join runs r on r.run_id = p.run_id "
            "and r.table_name = 'policies' where p.period = $1 order by r.committed_at desc limit 1",
            [period],
        ).fetchone()
    if known is None or known[2] == rule.sha256:
        return rule, known is not None
    if not reason and _same_rule(known[3], rule):
        raise PolicyError(
            f"Period {period} is registered under policy {known[0]} version {known[1]} ({known[2][:12]}), in the "
            f"words of another release: this one writes the same rule as version {rule.version} "
            f"({rule.sha256[:12]}). Register them: tribute policy PROJECT.yaml --period {period} --reason WHY"
        )
    if not reason:
        raise PolicyError(
            f"Period {period} is registered under policy {known[0]} version {known[1]} ({known[2][:12]}), "
            f"project.yaml says {rule.name} version {rule.version} ({rule.sha256[:12]}). Put the old one back, or "
            f"register the new one: tribute policy PROJECT.yaml --period {period} --reason WHY"
        )
    return rule, False


def _same_rule(written: str, rule: Policy) -> bool:
    """Whether the JSON of a policy is of this rule, in the words of an earlier release and of any version."""
    known, worded = json.loads(written), dict.fromkeys(("text", "version"))
    return known["text"] in rule.wordings[1:] and known | worded == policy_json(rule) | worded


def register_policy(project: Project, lake: Lake, period: str, reason: str = "") -> bool:
    """Commit a period to its policy, the first time it is worked on; whether this call did.

    When it was registered is in the view `runs`: before the period ended, if it is to bind the payer.

    Raises:
        PolicyError: another policy is registered, and no reason is given for changing it.
        LakeConflict: another process registered a policy for the period meanwhile.
    """
    basis = Basis(lake.version("policies"), lambda: pc.field("period") == period)
    rule, registered = registered_policy(project, lake, period, reason)
    if registered:
        return False
    with open_tables(lake.root, "policies") as connection:
        [(earlier,)] = connection.execute("select count(*) from policies where period = $1", [period]).fetchall()
    row = {
        "run_id": run_id("policy", period, rule.sha256, earlier),
        "period": period,
        "name": rule.name,
        "version": rule.version,
        "sha256": rule.sha256,
        "json": canonical_json(policy_json(rule)).decode(),
        "reason": reason,
    }
    rows = pa.Table.from_pylist([row], SCHEMAS["policies"])
    return lake.append("policies", str(row["run_id"]), rows, basis=basis)


def quality_certificate(project: Project, period: str) -> QualityCertificate | None:
    """The certificate of this simulation, of the period or the latest before it: of most seeds, the newest."""
    with open_tables(project.lake_root, "certificates") as connection:
        found = connection.execute(
            "select c.run_id, c.sha256, c.misallocated_pool, c.coverage_95 from certificates c "
            "join runs r on r.run_id = c.run_id and r.table_name = 'certificates' "
            "where c.simulate_run = $1 and c.period <= $2 "
            "order by c.period desc, c.seeds desc, r.committed_at desc, c.run_id limit 1",
            [lineage(project).simulate_run, period],
        ).fetchone()
    if found is None:
        return None
    certificate_id, sha256, misallocated, coverage = found
    return QualityCertificate(
        certificate_id=certificate_id,
        sha256=sha256,
        misallocated_pool=plain(Decimal(f"{misallocated:.3f}")),
        coverage_95=plain(Decimal(f"{coverage:.3f}")),
    )


def _rows(path: Path) -> list[FileRow]:
    try:
        return read_records(path, ("customer_id", "fee"), ())
    except RightsError as problem:
        raise MoneyError(f"money.fees: {problem}") from None


def _part(pool_id: str, written: str) -> Fraction:
    try:
        return exact_fraction(written)
    except ValueError as problem:
        raise MoneyError(f"Pool {pool_id}, rate: {problem}") from None
