"""A part of a project: its settings, as people write them in YAML."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.chance import Chance
from tests.fuzz.corpus.texts import encoded
from tests.fuzz.money import terms
from tests.fuzz.money.files import OF_FILES, Spoil, again, last, renamed, write_table
from tests.fuzz.money.oracle import half_even, minor_units
from tests.fuzz.odd_ids import UNPRINTABLE, canonical, drawn_ids
from tests.fuzz.part import Part, require
from tribute.config import load_project
from tribute.estimators import build_estimator
from tribute.royalty.division import DEFAULT_POLICY
from tribute_jobs.period.alarms import alarm_limits
from tribute_jobs.period.terms import customer_fees, period_policy, period_pools

DIGITS = terms.DIGITS | {"CLF": 4}
AMOUNTS = ("1000", "010000", "'1000.5'", '"0.01"', "0", "'00012.30'", "999999999999", "' 12.00 '", "'010'", '"7"')
RATES = ("1", "'0.3'", "1/3", "'2/7'", "0", "'1.0'", "'000.50'")

POOL_FAULTS: dict[str, dict[str, str]] = {
    **{
        f"the amount {amount}": {"amount": amount}
        for amount in (
            "1_000", "'1_000.00'", "'1,000.00'", "1e3", "'1e3'", "1000.01", "0x1F", "0o17", "12:30", "190:20:30",
            "-5", "'+5'", "yes", "2026-10-01", "'1 000'", "'10 EUR'", "''", "~", ".inf", "'NaN'", "'１００'",
            "'١٠٠'", "[1]", "{a: 1}", "'1.000,00'", "'1.00001'", "'99999999999999999999'",
            "1000000000000000000000000000", "true", "'5.'", "'.5'", "1'000",
        )
    },
    **{
        f"the rate {rate}": {"rate": rate}
        for rate in ("1.5", "'1.5'", "30%", "1/0", "'-0.1'", "one", "0.5", "'0,5'", "3/2", "1e-1", "[1]")
    },
    **{f"the currency {code}": {"currency": code} for code in ("EURO", "eur", "XAU", "BTC", "7", "''", "yes")},
    **{f"the pool's id {name}": {"id": name} for name in ("''", "'a/b'", "'../x'", "'a b'", "'新'", "[a]", "'-'")},
    "deductions above the revenue": {"deductions": "{fees: '9999999999999'}"},
    "a deduction below 0": {"deductions": "{fees: '-1'}"},
    "a deduction that is a float": {"deductions": "{fees: 0.1}"},
    "a misspelt key": {"amuont": "'1000'"},
    "an unknown key": {"share": "'1/2'"},
}  # fmt: skip
TEXT_FAULTS: dict[str, Callable[[str], str | bytes]] = {
    "a section twice": lambda text: text + "pool:\n  amount: '5'\n",
    "a key twice": lambda text: text.replace("  window: 17\n", "  window: 17\n  window: 17\n"),
    "an unknown section": lambda text: text + "pol: {}\n",
    "an alias": lambda text: text + "workdir: &a data\nlake: *a\n",
    "a tag": lambda text: text.replace("name: drawn", "name: !!str drawn"),
    "a Python tag": lambda text: text + "lake: !!python/name:os.system\n",
    "tabs": lambda text: text.replace("  window", "\twindow"),
    "another encoding": lambda text: text.encode() + "# déjà\n".encode("latin-1"),
    "a list": lambda _: "- name: drawn\n",
    "nothing": lambda _: "",
    "a text": lambda _: "just a text",
    "two documents": lambda text: text + "---\nname: other\n",
    "a control character": lambda text: text + 'lake: "a\x07"\n',
    "half a character": lambda text: text + 'lake: "\\ud800"\n',
    "nested too deeply": lambda text: text + "policy: " + "[" * 5000 + "]" * 5000 + "\n",
    "a number without end": lambda text: text.replace("window: 17", "window: " + "9" * 400),
    "a window in quotes": lambda text: text.replace("window: 17", "window: '17'"),
    "a window with a fraction": lambda text: text.replace("window: 17", "window: 17.5"),
    "a window of 1": lambda text: text.replace("window: 17", "window: 1"),
    "a window that is true": lambda text: text.replace("window: 17", "window: true"),
    "a held-out part of 1": lambda text: text.replace("window: 17", "window: 17\n  held_out: 1.0"),
    "a held-out part below 0": lambda text: text.replace("window: 17", "window: 17\n  held_out: -0.1"),
    "an unknown kind": lambda text: text.replace("kind: text", "kind: texts"),
    "no kind": lambda text: text.replace("  kind: text\n", ""),
    "no corpus": lambda text: "\n".join(
        line for line in text.split("\n") if "  " not in line and "corpus" not in line
    ),
    "a name that is a path": lambda text: text.replace("name: drawn", "name: ../drawn"),
    "no name": lambda text: text.replace("name: drawn", ""),
    "a batch in words": lambda text: text + "training:\n  batch_size: many\n",
    "an unknown optimizer": lambda text: text + "training:\n  optimizer: adagrad\n",
    "a learning rate below 0": lambda text: text + "training:\n  learning_rate: -0.1\n",
    "a learning rate without end": lambda text: text + "training:\n  learning_rate: .inf\n",
    "a seed with a fraction": lambda text: text + "training:\n  seed: 0.5\n",
    "a horizon above 1": lambda text: text + "simulation:\n  horizon: 1.5\n",
    "an unknown mode": lambda text: text + "attribution:\n  method: trakk\n",
    "two kinds of pools": lambda text: text + "pools: [{id: a}, {id: b}]\n",
    "an unknown alarm": lambda text: text + "money:\n  alarms: {topshare: '0.5'}\n",
    "an alarm that is a float": lambda text: text + "money:\n  alarms: {top_share: 0.5123456789}\n",
    "an unknown policy key": lambda text: text + "policy: {caps: '1/2'}\n",
    "a policy that is text": lambda text: text + "policy: equal\n",
    "a cap that is a float": lambda text: text + "policy: {cap: 0.3333333333}\n",
}
FEE_FAULTS: dict[str, Spoil] = {
    name: spoil for name, spoil in OF_FILES.items() if name not in ("semicolons", "tabs", "a column twice")
} | {
    "a customer twice": again,
    "a fee that is a fraction": last(fee="1/3"),
    "a fee below 0": last(fee="-1"),
    "a fee with a comma": last(fee="1,5"),
    "a fee with an exponent": last(fee="1e3"),
    "no fee": last(fee=""),
    "no customer": last(customer_id=""),
    "an unprintable customer": last(customer_id=UNPRINTABLE["an escape"]),
    "a misspelt fee": renamed("fee", "fees"),
}


@dataclass
class WrittenSettings(Part):
    """A project file: one pool, its rate and deductions, and a file of fees."""

    pool: dict[str, str] = field(kw_only=True)
    fees: list[dict[str, str]] = field(kw_only=True)
    seed: int = field(kw_only=True)

    def check(self, folder: Path) -> None:
        """Amounts are as written; the pool is what is left of them, rounded once."""
        spoil = FEE_FAULTS[self.fault.removeprefix("fees: ")] if self.fault.startswith("fees: ") else None
        fees = write_table(folder, "fees", [dict(row) for row in self.fees], Chance(self.seed), spoil)
        lines = "".join(f"  {key}: {value}\n" for key, value in self.pool.items())
        text = f"name: drawn\ncorpus:\n  kind: text\n  path: texts\n  window: 17\npool:\n{lines}"
        spoilt = TEXT_FAULTS.get(self.fault, lambda written: f"{written}money:\n  fees: {fees}\n")(text)
        plain = spoilt.encode() if isinstance(spoilt, str) else spoilt
        (folder / "project.yaml").write_bytes(plain if self.fault else encoded(Chance(self.seed), plain.decode()))
        project = load_project(folder / "project.yaml")
        [pool] = period_pools(project)
        policy, found = period_policy(project), customer_fees(project)
        alarm_limits(project.money.alarms)
        if project.simulation.estimated:
            build_estimator(project.simulation.mode, project.simulation.options)
        require(policy == DEFAULT_POLICY and project.corpus.kind == "text", "settings that nobody wrote")
        self._check_pool(pool)
        expected = {canonical(row["customer_id"]): Fraction(row["fee"]) for row in self.fees}
        require(found == expected, f"fees {found}, expected {expected}")

    def _check_pool(self, pool: Any) -> None:
        currency = _text(self.pool["currency"])
        digits = DIGITS[currency]
        gross = minor_units(_text(self.pool["amount"]), digits)
        less = {name: minor_units(_text(str(value)), digits) for name, value in _deductions(self.pool).items()}
        rate = Fraction(_text(self.pool["rate"]).strip())
        require(pool.currency == currency, f"currency {pool.currency}, written {currency}")
        require(pool.gross_minor == gross, f"an amount of {pool.gross_minor} for {self.pool['amount']} {currency}")
        require(dict(pool.deductions) == less, f"deductions {pool.deductions}, written {self.pool}")
        expected = half_even((gross - sum(less.values())) * rate)
        require(pool.amount.minor == expected, f"a pool of {pool.amount.minor}, expected {expected}: {self.pool}")


def _text(written: str) -> str:
    return written.strip("'\"")


def _deductions(pool: dict[str, str]) -> dict[str, Any]:
    return yaml.load(pool.get("deductions", "{}"), yaml.BaseLoader)


def drawn_settings(chance: Chance, faulty: bool) -> WrittenSettings:
    """A project file, which may be broken."""
    currency = chance.of(DIGITS)
    fitting = [amount for amount in AMOUNTS if len(_text(amount).partition(".")[2].strip()) <= DIGITS[currency]]
    pool = {"amount": chance.of(fitting), "currency": currency, "rate": chance.of(RATES)}
    if chance.happens(0.4):
        pool["deductions"] = chance.of(["{}", "{payment fees: 0}", "{'a': '0', b: 00}"])
    customers = drawn_ids(chance, chance.whole(1, 4), 0.5)
    fees = [{"customer_id": name, "fee": chance.of(["19.90", "0", "007", "12.345678"])} for name in customers]
    fault = ""
    if faulty:
        kind = chance.of(["pool", "pool", "text", "text", "fees"])
        kinds = {"pool": POOL_FAULTS, "text": TEXT_FAULTS, "fees": FEE_FAULTS}
        fault = chance.of(kinds[kind])
        if kind == "pool":
            pool |= POOL_FAULTS[fault]
            pool["currency"] = POOL_FAULTS[fault].get("currency", "EUR")
            if fault != "the currency JPY" and pool["currency"] == "EUR" and "amount" not in POOL_FAULTS[fault]:
                pool["amount"] = "'1000'"
        fault = f"fees: {fault}" if kind == "fees" else fault
    return WrittenSettings([f"currency: {currency}"], fault, pool=pool, fees=fees, seed=chance.whole(0, 2**30))
