"""The record of a statement as rows to read: revenue, terms, shares, policy, runs, hashes and proof."""

from typing import NamedTuple

from tribute.royalty.document import QualityCertificate, Statement, StatementParts, StatementPool, StatementProof
from tribute.royalty.exact.text import NatsText, one_line
from tribute.royalty.render.wording import BASES, money, rate

_LONGEST_FRACTION = 60


class RecordRow(NamedTuple):
    """A label, its words, and identifiers to be set in a fixed-width type."""

    label: str
    text: str = ""
    codes: tuple[str, ...] = ()


def records(s: Statement, nats: NatsText) -> list[RecordRow]:
    """Everything needed to compute the statement again, the money first."""
    certificate, policy = s.quality_certificate, s.policy
    return [
        *(RecordRow(pool_name(pool.pool_id), pool_text(pool, s.currency)) for pool in s.pools),
        RecordRow("Your agreement", agreement_text(s)),
        RecordRow("Your share", f"{s.share_percent}%", _fraction(s.share)),
        RecordRow("made up of", _parts(s.parts)),
        RecordRow(
            "Measured", f"{nats(s.attribution_signed_nats)} nats, before calibration and the weight of tokens"
        ),
        RecordRow("Weight of tokens", s.shrinkage),
        RecordRow("All publishers", f"{nats(s.payable_nats)} nats count for payment"),
        RecordRow("Policy", f"{policy.name}, version {policy.version}", (policy.sha256,)),
        RecordRow("Valuation", codes=(s.value_run,)),
        RecordRow("Simulation", codes=(s.simulate_run,)),
        RecordRow("Training", codes=(s.train_run,)),
        *([RecordRow("Quality certificate", codes=_both(certificate))] if certificate else []),
        RecordRow("Statement", f"version {s.statement_version}, {s.status}", (s.statement_id,)),
        RecordRow("SHA-256 of the data", codes=(s.sha256,)),
        *_proof(s.proof),
    ]


def pool_name(pool_id: str) -> str:
    """`Pool gulf`; a pool that is called pool has no other name."""
    return "Pool" if pool_id == "pool" else f"Pool {one_line(pool_id)}"


def pool_text(pool: StatementPool, currency: str) -> str:
    """How a pool came about and how it was divided."""
    amount = money(pool.pool_amount_minor, currency)
    basis = pool.allocation_basis
    divided = f"divided {BASES.get(basis, basis.replace('_', ' '))}"
    if pool.unattributed_minor:
        divided += f"; {money(pool.unattributed_minor, currency)} of it is not attributed"
    if pool.gross_revenue_minor == pool.pool_amount_minor:
        return f"{amount}, {divided}."
    less = "".join(
        f", less {one_line(each.name)} {money(each.amount_minor, currency)}" for each in pool.deductions
    )
    return (
        f"revenue {money(pool.gross_revenue_minor, currency)}{less}: "
        f"{rate(pool.royalty_rate)} of {money(pool.net_revenue_minor, currency)} is {amount}, {divided}."
    )


def agreement_text(s: Statement) -> str:
    """The terms, with only those that change something."""
    terms, currency = s.agreement, s.currency
    terms_shown = [
        f"{rate(terms.rate)} of what is allocated to you",
        f"paid at the end of each {terms.accounting_period}",
    ]
    if terms.guarantee_minor:
        terms_shown.append(f"at least {money(terms.guarantee_minor, currency)} each {terms.accounting_period}")
    if terms.threshold_minor:
        terms_shown.append(f"minimum payout {money(terms.threshold_minor, currency)}")
    if terms.reserve_months:
        terms_shown.append(f"{rate(terms.reserve_rate)} held in reserve for {terms.reserve_months} months")
    if rate(terms.withholding_rate) != "0%":
        terms_shown.append(f"{rate(terms.withholding_rate)} withholding tax")
    return f"{one_line(terms.agreement_id)}: {', '.join(terms_shown)}."


def _fraction(share: str) -> tuple[str, ...]:
    return (share,) if len(share) <= _LONGEST_FRACTION else ()


def _parts(parts: StatementParts) -> str:
    moved = rate(parts.moved.lstrip("-"))
    shares = f"{rate(parts.attributed)} by value, {rate(parts.unattributed)} not attributed"
    if moved == "0%":
        return shares
    return f"{shares}, {'−' if parts.moved.startswith('-') else '+'}{moved} moved by the policy's limits"


def _both(certificate: QualityCertificate) -> tuple[str, str]:
    return certificate.certificate_id, certificate.sha256


def _proof(proof: StatementProof | None) -> list[RecordRow]:
    if not proof:
        return [RecordRow("Proof", "added when the operator closes the period")]
    place = f"leaf {proof.leaf_index} of {proof.tree_size}, {len(proof.hashes)} hashes, in the JSON file"
    return [
        RecordRow("Proof", place),
        RecordRow("Root of the period", codes=(proof.root,)),
        RecordRow("Signed with key", codes=(proof.public_key,)),
    ]
