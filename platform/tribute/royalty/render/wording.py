"""The sentences that a statement's page, PDF and text share: for someone who is owed money, not for experts."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

from tribute.royalty.document import RepetitionWords, Statement, StatementChange, repetition_words
from tribute.royalty.exact.money import Money
from tribute.royalty.exact.text import NatsText, one_line, percent, plain

# English, whatever the locale of the process.
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
BASES = {
    "attribution": "by what each publisher's sources were worth to the model's answers",
    "token_count": "by the number of training tokens of each publisher",
    "equal": "in equal parts to all publishers",
    "user_centric": "customer by customer: each customer's fee goes by what sources were worth to that customer's "
    "own questions",
    "blend": "by the mixture of rules that the policy states",
}
COUNTED = (
    "Value is what was measured and can be below zero, where a source made the answers worse; Counted is the part "
    "of it that can earn money. A value below zero is subtracted from your total, counts as zero on its own line, "
    "and never becomes a debt."
)
UNDRAWN = "The picture shows {} sources, the best paid; {} more are in the table."
LINES = "Your sources, the best paid first. The amounts sum to what is allocated to you."
ACCOUNT = "From the period before to the next. Rows in brackets tell of money outside the sum."
CORRECTED = "What this version says was earned; any difference is settled with a later period."
NO_ACTIVITY = (
    "No activity: none of your sources took part in this period. You get this statement so that the record has no "
    "gap."
)
RANGE = (
    "The range says how precise the measurement is, before the terms of your agreement; what you are paid is the "
    "amount at the top."
)
HASH_NOTE = (
    "The hash is of this statement's JSON file without its proof, which holds every number in full. Anyone who "
    "has that file can compute the hash again."
)


def money(minor: int, currency: str) -> str:
    """An amount as people read it, with a minus sign that is not a hyphen."""
    return Money(minor, currency).text().replace("-", "−")


def month(s: Statement) -> str:
    """`October 2026`, or the first and last day where the period is not one calendar month."""
    first, last = (date.fromisoformat(day) for day in (s.period_start, s.period_end))
    if (first.year, first.month) == (last.year, last.month):
        return f"{_MONTHS[first.month - 1]} {first.year}"
    return f"{s.period_start} to {s.period_end}"


def name(s: Statement) -> str:
    """The publisher's name on one line."""
    return one_line(s.publisher_name)


def restated(s: Statement) -> bool:
    """Whether a statement is of a version that restates a closed period: it pays nothing and moves no account."""
    return s.restates_statement_version is not None


def account_caption(s: Statement) -> str:
    """The caption of the account."""
    return CORRECTED if restated(s) else ACCOUNT


def total(s: Statement) -> str:
    """The headline: what will be paid, or by a restated statement what was earned."""
    earned, paid = s.balance.royalty_earned_minor, s.balance.amount_paid_minor
    return money(earned if restated(s) else paid, s.currency)


CAUSES = {
    "usage": "other uses of the model",
    "measurements": "more trainings without some of the sources",
    "prior": "other estimates or settings of the values",
    "values": "other values",
    "terms": "other rights, policy or revenue",
    "rounding": "rounding",
}


def lead(s: Statement) -> str:
    """The words under the headline."""
    if restated(s):
        return f"is what you earned for {month(s)}, counted again. This statement by itself pays nothing."
    if not s.balance.amount_paid_minor:
        return f"Nothing is paid out for {month(s)}."
    if s.status == "draft":
        return f"would be paid to you for {month(s)} if the period were closed as it stands."
    return f"is paid to you for {month(s)}."


def notices(s: Statement) -> list[str]:
    """Notice that a statement is a draft or a correction."""
    sentences = []
    if s.status == "draft":
        sentences.append("Draft: the operator has not closed the period yet, and the amounts may still change.")
    if restated(s):
        before = s.supersedes_statement_id
        replaced = (
            f"this replaces statement {before}"
            if before
            else f"you had no statement of version {s.restates_statement_version}, which it replaces"
        )
        sentences.append(
            f"Version {s.statement_version} of a closed period: {replaced}. Your account stays as the version "
            "that closed the period left it, and nothing is paid or asked back by this one. Any difference, your "
            "guaranteed minimum considered, stands as a correction of an earlier period on your statement of the "
            "next month that is settled."
        )
    if s.change is not None:
        sentences.append(_changed(s, s.change))
    return sentences


def _changed(s: Statement, change: StatementChange) -> str:
    """Why the amount is another one than in the version before."""
    amounts = f"{money(change.before_minor, s.currency)} to {money(s.amount_minor, s.currency)}"
    parts = [
        f"{money(minor, s.currency)} by {cause}"
        for name, cause in CAUSES.items()
        if (minor := getattr(change, f"{name}_minor"))
    ]
    return f"Your amount went from {amounts}: {', '.join(parts)}." if parts else "Your amount is as it was."


def allocated(s: Statement) -> str:
    """Where the allocated amount comes from, in one sentence."""
    pools = s.pools
    whole = sum(pool.pool_amount_minor for pool in pools)
    if not whole:
        return f"There was nothing to divide among publishers for {month(s)}."
    if not s.amount_minor:
        return (
            f"Of the {money(whole, s.currency)} that the model's operator divides among all publishers, "
            "nothing is allocated to you."
        )
    part = s.share_percent if len(pools) == 1 else percent(Fraction(s.amount_minor, whole))
    of = "" if len(pools) == 1 else f" in {len(pools)} pools"
    return (
        f"{money(s.amount_minor, s.currency)} is allocated to your sources: {part}% of the "
        f"{money(whole, s.currency)} that the model's operator divides among all publishers{of}."
    )


def worth(s: Statement) -> str:
    """Why a value earns nothing; empty where it earns, or where money does not go by value."""
    if not s.lines or any(pool.allocation_basis != "attribution" for pool in s.pools):
        return ""
    nats = NatsText([Decimal(s.value_nats)])
    if Decimal(s.value_nats) <= 0:
        return (
            f"Taken together, your sources did not make the model's answers better (value {nats(s.value_nats)} "
            "nats). By their value they earn nothing this time. You owe nothing either."
        )
    if not Fraction(s.parts.attributed) and Decimal(s.interval.ci_low_nats) <= 0:
        return (
            f"The value of your sources ({nats(s.value_nats)} nats) cannot be told from zero with "
            f"{confidence(s)} confidence, so by the policy nothing is earned by it this time."
        )
    return "" if s.amount_minor else "Your share is too small to make up one unit of the currency."


def unattributed(s: Statement) -> str:
    """The line of money that belongs to no source, in one sentence; empty without one."""
    minor = sum(line.amount_minor for line in s.lines if line.line_type == "unattributed")
    if not minor:
        return ""
    return (
        f"Not attributed, {money(minor, s.currency)}: for a part of the money the measurement cannot tell "
        "whose sources earned it; the policy divides that part among all publishers, and this is yours."
    )


def value_words(s: Statement) -> RepetitionWords:
    """The phrases that say what a value means, by how the model was trained without sources."""
    return repetition_words(s.repetition)


def chart_caption(s: Statement) -> str:
    """What a bar of the picture is."""
    return (
        "Each bar is what one of your sources was worth to the model's answers of the period: how much less "
        f"likely the answers would have been {value_words(s).without}. The thin line over a bar is its "
        f"{confidence(s)} interval. A grey source was worth nothing or made the answers worse."
    )


def unit(s: Statement) -> str:
    """What a nat is, what a value compares with, and which part of it counts."""
    words = value_words(s)
    sentences = (
        "Values are in nats: a source worth one nat made the answers of the period, taken together, about 2.7 "
        f"times as likely as they would have been {words.without}.",
        words.meaning,
        COUNTED,
    )
    return " ".join(filter(None, sentences))


def estimated(s: Statement) -> str:
    """Where values and their intervals come from."""
    return (
        f"The values of all publishers are estimated together: from {value_words(s).real} without some sources, "
        "if there are any, and from cheaper estimates. The interval holds 95% of the values that agree with these."
    )


def confidence(s: Statement) -> str:
    """`95%`."""
    return f"{plain(100 * Decimal(s.interval.confidence))}%"


def sure(s: Statement, nats: NatsText) -> list[str]:
    """The value with its interval, and the same as a share and as an amount where the policy permits."""
    interval = s.interval
    sentences = [
        f"Your sources together: {nats(s.value_nats)} nats, {confidence(s)} interval "
        f"{nats(interval.ci_low_nats)} to {nats(interval.ci_high_nats)}."
    ]
    if share := shares(s):
        sentences.append(f"As a share of what is divided by value: {share}.")
    if interval.amount_low is not None:
        sentences.append(
            f"As an allocated amount: {interval.amount_low} to {interval.amount_high}, which is the "
            f"{interval.amount_range_basis}. {RANGE}"
        )
    return sentences


def shares(s: Statement) -> str:
    """The interval of the share by value, `3.1000% to 5.2500%`; empty where the statement has none."""
    ends = (s.interval.share_low, s.interval.share_high)
    return " to ".join(f"{percent(Fraction(end))}%" for end in ends if end is not None)


def quality(s: Statement) -> str:
    """The findings of the quality certificate, or that there is none."""
    certificate, real = s.quality_certificate, value_words(s).real
    if certificate is None:
        return f"No quality certificate: these values were not judged by {real}."
    wrong, held = (plain(100 * Decimal(part)) for part in (certificate.misallocated_pool, certificate.coverage_95))
    return (
        f"How good these values are was judged by {real} without known sources: divided by them, "
        f"{wrong}% of the pool goes to another payee than these trainings say, and {held}% of the 95% "
        f"intervals held their value. Ask the operator for quality certificate {certificate.certificate_id}."
    )


def rate(text: str) -> str:
    """A rate such as `0.7` or `7/10` as `70%`, with up to four decimals."""
    shown = percent(Fraction(text))
    return f"{shown.rstrip('0').rstrip('.')}%"
