"""Inputs of a bundle: complete, hashed again at any later time, and rebuilt byte for byte."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from tests.e2e.closing import AGREEMENTS, change_rights, copied, everything, work
from tests.e2e.conftest import PERIOD
from tests.statements import revised
from tests.unit.jobs.commanding import Ran, tribute
from tests.unit.royalty.proof.forger import typed
from tests.unit.storage.rows import any_rows
from tribute.catalog import lineage
from tribute.config import Project, load_project
from tribute.errors import DamagedFile
from tribute.royalty.document import BundleFacts
from tribute.royalty.proof import build_bundle, new_key
from tribute_jobs.inquiries.policy import register
from tribute_jobs.period.ledger import post, read_ledger
from tribute_jobs.period.statements import latest_statements, statement_folder
from tribute_storage import SCHEMAS, Lake, compact, open_tables

TABLES = {
    "corpus_sources",
    "corpus_documents",
    "corpus_duplicates",
    "trajectories",
    "learning",
    "simulations",
    "queries",
    "usage_events",
    "influence",
    "predicted",
    "estimates",
    "measurements",
    "precisions",
    "rights",
    "publishers",
    "valuations",
    "policies",
    "certificates",
}
FEES = "customer_id,fee\ncustomer-0,10.00\ncustomer-1,19.90\n"


@pytest.fixture(scope="module")
def closed(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished project with agreements and fees, events of use reported twice, and a certificate; closed."""
    folder = tmp_path_factory.mktemp("inputs") / "closed"
    shutil.copytree(finished_folder, folder)
    (folder / "agreements.csv").write_text(AGREEMENTS)
    (folder / "fees.csv").write_text(FEES)
    path = folder / "project.yaml"
    own = {"rights": {"sources": "sources.csv", "agreements": "agreements.csv"}, "money": {"fees": "fees.csv"}}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | own | {"tracking": {"enabled": False}}))
    project = load_project(path)
    uses = [dict.fromkeys(SCHEMAS["usage_events"].names) | row for row in rows_of(project, "queries")]
    for run_id in ("usage-2", "usage-1"):
        events = [{name: row[name] for name in SCHEMAS["usage_events"].names} | {"run_id": run_id} for row in uses]
        add(project, "usage_events", run_id, events)
    judged = {"run_id": "evaluate-1", "period": PERIOD, "simulate_run": lineage(project).simulate_run}
    judged["sha256"] = hashlib.sha256(b"the page").hexdigest()
    add(project, "certificates", "evaluate-1", [any_rows("certificates").to_pylist()[0] | judged])
    for last in ("settle", "close"):
        work(project, PERIOD, last)
    return project


@pytest.fixture
def project(closed: Project, tmp_path: Path) -> Project:
    """A copy of the closed project, to be changed."""
    return copied(closed, tmp_path / "copy")


def bundle_file(project: Project) -> Path:
    version = max(row["statement_version"] for row in rows_of(project, "statements"))
    return statement_folder(project, PERIOD, version) / "bundle.json"


def verified(project: Project, *options: object) -> Ran:
    return tribute("verify", bundle_file(project), "--project", project.workdir.parent / "project.yaml", *options)


def places(project: Project) -> list[str]:
    ran = verified(project, "--json")
    found = json.loads(ran.text)
    assert ran.code == (1 if found["problems"] else 0)
    return [each["place"] for each in found["problems"]]


def rows_of(project: Project, table: str) -> list[dict[str, Any]]:
    with open_tables(project.lake_root) as lake:
        return lake.sql(f"from {table} order by all").to_arrow_table().to_pylist()


def add(project: Project, table: str, run_id: str, rows: list[dict[str, Any]]) -> None:
    assert Lake(project.lake_root).append(table, run_id, pa.Table.from_pylist(rows, SCHEMAS[table]))


def test_a_bundle_names_every_run_and_file_that_it_rests_on(closed: Project) -> None:
    bundle = json.loads(bundle_file(closed).read_bytes())
    inputs = {each["table"]: each for each in bundle["inputs"]}
    assert set(inputs) == TABLES and len(bundle["inputs"]) == len(TABLES)
    for table, each in inputs.items():
        own = [row for row in rows_of(closed, table) if row["run_id"] in each["run_ids"]]
        assert len(own) == each["rows"]
    assert {table for table, each in inputs.items() if not each["rows"]} == {"corpus_duplicates", "predicted"}
    assert inputs["usage_events"]["run_ids"] == ["usage-2"] and inputs["certificates"]["run_ids"] == ["evaluate-1"]
    assert inputs["influence"]["run_ids"] == inputs["queries"]["run_ids"] == inputs["estimates"]["run_ids"]
    assert {row["run_id"] for row in rows_of(closed, "simulations")} == set(inputs["simulations"]["run_ids"])
    assert bundle["files"] == [
        {"setting": setting, "name": name, "sha256": hashlib.sha256(content.encode()).hexdigest()}
        for setting, name, content in (
            ("money.fees", "fees.csv", FEES),
            ("rights.agreements", "agreements.csv", AGREEMENTS),
        )
    ]
    entries = read_ledger(closed)
    assert bundle["ledger"] == {"entries": len(entries), "sha256": entries[-1].sha256} and entries
    assert set(bundle["facts_sha256"]) >= {"inputs", "files", "ledger"}


def test_all_of_it_is_hashed_again_and_holds(closed: Project) -> None:
    ran = verified(closed)
    assert ran.code == 0 and "The project still holds everything that it rests on." in ran.text
    assert "18 tables, 2 files" in ran.text
    assert tribute("verify", bundle_file(closed)).text.startswith(
        "HOLDS: this bundle is what was signed, and it adds up.\n"
    )


def later(project: Project) -> Iterator[str]:
    """Everything that may well happen after closing; yields what it was."""
    for table in sorted(TABLES - {"corpus_duplicates", "predicted"}):
        other = {"run_id": "later"} | ({"retrain_run": "later"} if table == "measurements" else {})
        add(project, table, "later", [row | other for row in rows_of(project, table)])
    yield "other runs"
    (project.workdir.parent / "agreements.csv").write_text(AGREEMENTS.replace("7/8", "3/4"))
    (project.workdir.parent / "fees.csv").unlink()
    yield "other files"
    rest = project.model_copy(update={"policy": {"basis": "equal"}})
    register(rest, PERIOD, "for next year", as_json=True)
    yield "another policy"
    for table in TABLES:
        if Lake(project.lake_root).version(table) is not None:
            compact(Lake(project.lake_root), table)
    yield "compaction"


def test_what_comes_later_changes_no_input_and_a_lost_bundle_is_written_again_as_it_was(project: Project) -> None:
    before, (_, files) = bundle_file(project).read_bytes(), everything(project)
    for happened in later(project):
        assert places(project) == [], happened
    (project.workdir.parent / "fees.csv").write_text(FEES)
    (project.workdir.parent / "agreements.csv").write_text(AGREEMENTS)
    register(project, PERIOD, "for this year after all", as_json=True)
    folder = bundle_file(project).parent
    shutil.rmtree(folder)
    work(project, PERIOD, "close")
    assert bundle_file(project).read_bytes() == before
    assert everything(project)[1] == files


def take_out(project: Project, table: str) -> None:
    """A forger's beginning: a table goes, and the lake no longer knows that it had one."""
    shutil.rmtree(Path(project.lake_root) / table)
    (Path(project.lake_root) / "_tables" / table).unlink()


def test_rows_slipped_into_signed_runs_are_named(project: Project) -> None:
    forged = {}
    for index, each in enumerate(json.loads(bundle_file(project).read_bytes())["inputs"]):
        own = [row for row in rows_of(project, each["table"]) if row["run_id"] in each["run_ids"]]
        if own and index % 2 == 0:
            add(project, each["table"], "forged", own[:1])
            forged[f"inputs[{index}]"] = each["table"]
    assert places(project) == list(forged) and len(forged) > 4
    text = verified(project).text
    assert text.startswith("DIFFERS: this bundle is what was signed, but the project")
    assert all(f"{place}: {table} of " in text for place, table in forged.items())


def test_a_changed_influence_is_named(project: Project) -> None:
    rows = rows_of(project, "influence")
    rows[7]["influence_nats"] += 2.0**-20
    take_out(project, "influence")
    add(project, "influence", "rewritten", rows)
    [place] = places(project)
    assert json.loads(bundle_file(project).read_bytes())["inputs"][int(place[7:-1])]["table"] == "influence"


def test_a_copy_of_a_file_that_was_changed_or_lost_is_named(project: Project) -> None:
    fees, agreements = sorted(
        (project.artifacts / "files").iterdir(), key=lambda path: path.name[17:], reverse=True
    )
    fees.write_text(FEES.replace("19.90", "0.01"))
    agreements.unlink()
    assert places(project) == ["files[0]", "files[1]"]


def test_a_ledger_that_was_rewritten_is_named_though_its_chain_holds(project: Project) -> None:
    statements = latest_statements(project, PERIOD)
    take_out(project, "ledger")
    assert places(project) == ["ledger"]
    at, paid = next((at, each) for at, each in enumerate(statements) if each.balance.royalty_earned_minor)
    statements[at] = revised(paid, {"balance.royalty_earned_minor": paid.balance.royalty_earned_minor + 1})
    assert post(Lake(project.lake_root), project, "rewritten", statements)
    assert read_ledger(project) and places(project) == ["ledger"]
    assert "it was rewritten since" in verified(project).text


def test_another_statement_in_the_lake_is_named(project: Project) -> None:
    rows = rows_of(project, "statements")
    take_out(project, "statements")
    final = max(row["statement_version"] for row in rows)
    for row in rows:
        row["sha256"] = (
            "0" * 64 if (row["publisher_id"], row["statement_version"]) == ("arena", final) else row["sha256"]
        )
    add(project, "statements", "rewritten", rows)
    assert [place for place in places(project) if place.startswith("statements")] == [places(project)[0]]


def test_a_bundle_that_was_changed_is_not_proof_of_anything(project: Project) -> None:
    path = bundle_file(project)
    signed = path.read_bytes()
    path.write_bytes(signed.replace(b"tribute.bundle/2", b"tribute.bundle/9"))
    with pytest.raises(
        DamagedFile, match=r"bundle.json was changed after it was signed .*Put the signed file back"
    ):
        work(project, PERIOD, "close")
    assert verified(project).text.startswith("DOES NOT HOLD")
    path.write_bytes(signed)
    work(project, PERIOD, "close")


def test_a_lost_bundle_is_not_signed_anew_under_another_key(project: Project) -> None:
    path = bundle_file(project)
    path.unlink()
    (project.workdir / "signing-key.pem").write_text(new_key()[0])
    with pytest.raises(DamagedFile, match="is gone, and signing anew would give another one"):
        work(project, PERIOD, "close")
    assert not path.exists()


def test_a_restatement_rests_on_its_own_rights_and_on_the_same_ledger(project: Project) -> None:
    first = json.loads(bundle_file(project).read_bytes())
    change_rights(project)
    work(project, PERIOD, "restate", "Kitchen was overlooked")
    second = json.loads(bundle_file(project).read_bytes())
    differ = {new["table"] for old, new in zip(first["inputs"], second["inputs"], strict=True) if old != new}
    assert differ == {"rights", "valuations"} or differ == {"rights", "publishers", "valuations"}
    assert second["ledger"] == first["ledger"] and second["files"] == first["files"]
    assert places(project) == []


def test_only_the_bundle_of_the_project_can_be_compared_with_it(closed: Project, tmp_path: Path) -> None:
    path = closed.workdir.parent / "project.yaml"
    statement = tribute("verify", bundle_file(closed).with_name("arena.json"), "--project", path)
    assert statement.code == 2 and "is a statement. Give --project together with the bundle.json" in statement.text
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"name": "other"}))
    other = tribute("verify", bundle_file(closed), "--project", tmp_path / "project.yaml")
    assert other.code == 2 and "The bundle is of 'press', this project is 'other'" in other.text


def signed_anew(project: Project, **changes: Any) -> None:
    """A payer that owns lake and key signs another bundle, and commits that."""
    path, key = bundle_file(project), (project.workdir / "signing-key.pem").read_text()
    old = json.loads(path.read_bytes()) | changes
    facts = BundleFacts.model_validate({name: old[name] for name in BundleFacts.model_fields})
    path.write_bytes(build_bundle(facts, typed(old["statements"]), key).canonical())
    new = json.loads(path.read_bytes())
    rows = rows_of(project, "bundles")
    take_out(project, "bundles")
    for row in rows:
        row |= {"root": new["root"], "artifact_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    add(project, "bundles", "rewritten", rows)


def test_a_bundle_that_does_not_list_what_it_rests_on_is_named(project: Project) -> None:
    signed_anew(project, inputs=[], files=[])
    assert places(project) == ["inputs"] * len(TABLES) + ["files"] * 2
    assert "inputs: lack trajectories of " in verified(project).text


def test_a_bundle_that_lists_something_else_is_named(project: Project) -> None:
    old = json.loads(bundle_file(project).read_bytes())
    other, twice = old["inputs"][3] | {"run_ids": ["another"]}, old["files"][0]
    signed_anew(project, inputs=[*old["inputs"][:3], other, *old["inputs"][4:]], files=[*old["files"], twice])
    assert places(project) == ["inputs[3]", "files[2]"]


def test_a_statement_of_the_version_that_the_bundle_leaves_out_is_named(project: Project) -> None:
    """A statement that pays nothing and has no pool could be left out unseen by the bundle itself."""
    rows = rows_of(project, "statements")
    final = [row for row in rows if row["status"] == "final"]
    left_out = final[0] | {"run_id": "more", "statement_id": "left-out", "publisher_id": "left-out"}
    add(project, "statements", "more", [left_out])
    assert places(project) == ["statements"]
    assert "statements: lack left-out, which the lake has in this version" in verified(project).text


@pytest.mark.parametrize(
    "lying", [b"{", *(pytest.param(each, marks=pytest.mark.slow) for each in (b"", b"another"))]
)
def test_an_uncommitted_bundle_that_lies_there_is_not_trusted(project: Project, lying: bytes) -> None:
    path = bundle_file(project)
    signed, files = path.read_bytes(), everything(project)[1]
    take_out(project, "bundles")
    path.write_bytes(lying)
    path.with_name("arena.json").write_bytes(b"{}")
    work(project, PERIOD, "close")
    assert path.read_bytes() == signed and everything(project)[1] == files
    path.write_bytes(signed[:100])
    with pytest.raises(DamagedFile, match="was changed after it was signed"):
        work(project, PERIOD, "close")
