"""The text of `tribute explain`, for those who license content and those who pay for it."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tribute.royalty.document import repetition_words
from tribute.royalty.exact import Money
from tribute.royalty.render.record import pool_name
from tribute.royalty.render.wording import CAUSES
from tribute_jobs.printing import printable, wrapped

Row = dict[str, Any]
SIMULATIONS = 6
NOTIONS = {
    "leave_one_out": "what the model would lose without it",
    "banzhaf": "its worth averaged over random halves of the corpus (Banzhaf)",
    "shapley": "its worth averaged over all orders of joining (Shapley)",
}
BASES = {"replay": "the training's own last steps again", "continue": "further steps of training"}


def explanation_text(found: Row) -> str:
    """Amount, division, value, queries, simulation, training: each step leads to the next."""
    sections = (
        ("1. The division of the money", _division(found)),
        ("2. The value", _value(found)),
        ("3. The queries that count most", _queries(found)),
        ("4. The simulation", _simulation(found)),
        ("5. The training", _training(found)),
        ("6. What changed", _change(found)),
    )
    lines = list(_headline(found))
    for title, body in sections:
        lines += ["", title, *body]
    return "\n".join(lines)


def _headline(found: Row) -> Iterator[str]:
    line, statement = found["line"], found["statement"]
    what = f"source {line['source_id']}" if line["source_id"] else "what no source is paid for"
    yield printable(f"{found['division']['amount']} for {what}, to {statement['publisher_name']}")
    yield printable(f"Line {line['line_id']}")
    yield printable(
        f"of statement {statement['statement_id']}, version {statement['statement_version']} "
        f"({statement['status']}), period {statement['period']}"
    )
    yield printable(f"settled {statement['settled']} as {statement['settle_run']}")


def _division(found: Row) -> Iterator[str]:
    division, policy = found["division"], found["statement"]["policy"]
    pool, currency = division["pool"], division["currency"]
    yield from wrapped(f"Policy {policy['name']} version {policy['version']}, sha256 {policy['sha256'][:12]}:")
    yield from wrapped(policy["text"], "    ")
    yield from wrapped(_pool(pool, currency))
    share, part = Fraction(division["publisher_share"]), Fraction(division["line_part"])
    steps = (
        ("The publisher", share, pool["pool_amount_minor"], "publisher"),
        ("This line of it", part, division["publisher_minor"], "line"),
    )
    for who, fraction, whole, name in steps:
        exact, minor = Fraction(division[f"{name}_exact_minor"]), division[f"{name}_minor"]
        product = f"{Money(whole, currency).text()} x {_percent(fraction)} = {_major(exact, currency)}"
        yield (f"  {who + ':':<17}{product}, gets {Money(minor, currency).text()} {_rounding(exact, minor)}")
    yield from wrapped(
        "Amounts are whole minor units: all are rounded down, and the units left over go to the largest "
        "remainders, so that they sum to the pool exactly."
    )


def _pool(pool: Row, currency: str) -> str:
    pool_text = f"{pool_name(pool['pool_id'])}: {pool['pool_amount']}"
    if pool["pool_amount_minor"] == pool["gross_revenue_minor"]:
        return f"{pool_text}, all of the revenue, divided by {pool['allocation_basis']}"
    gross, less = pool["gross_revenue_minor"], pool["gross_revenue_minor"] - pool["net_revenue_minor"]
    return (
        f"{pool_text} = revenue {Money(gross, currency).text()} less {Money(less, currency).text()} deductions, "
        f"times the rate {pool['royalty_rate']}; divided by {pool['allocation_basis']}"
    )


def _value(found: Row) -> Iterator[str]:
    valued = found["valuation"]
    if valued is None:
        yield "  The lake holds no valuation of this line any more."
        return
    if not found["line"]["source_id"]:
        yield from wrapped(
            "This line pays what the policy cannot attribute to a source: it goes by the policy's fallback, "
            "whatever the sources were worth. As a whole, the publisher's sources came to:"
        )
    if valued["split"] not in ("1", "1/1"):
        yield from wrapped(f"The publisher holds {valued['split']} of the source; all figures are of that part.")
    yield f"  as measured   {_nats(valued['attribution_nats'])} nats over {valued['queries']:,} queries"
    yield (
        f"  as valued     {_nats(valued['value_nats'])} nats, 95% interval {_nats(valued['ci_low_nats'])} "
        f"to {_nats(valued['ci_high_nats'])}"
    )
    words = repetition_words(found["statement"].get("repetition"))
    yield from wrapped(words.meaning)
    yield from wrapped(_calibration(valued, found["line"]["source_id"], words.real))
    yield from wrapped(
        f"{valued['shrinkage']:.0%} of the value goes by training tokens alone, of which it has "
        f"{valued['token_share']:.1%} ({valued['tokens']:,.0f})."
    )
    yield f"  {valued['run_id']}"


def _calibration(valued: Row, source_id: str | None, real: str) -> str:
    trainings = valued["calibration"].get("trainings", [])
    if not trainings:
        return (
            "No training without some of the sources stands behind the values: they follow from what was "
            "measured and from token counts."
        )
    own = sum(source_id in each["without"] for each in trainings)
    return (
        f"Checked against {real}: {len(trainings)} of them without some of the sources, {own} without this one. "
        "All values were corrected by what they showed."
    )


def _queries(found: Row) -> Iterator[str]:
    queries = found["queries"]
    if queries is None and found["line"]["source_id"]:
        yield "  Not known: the lake holds no valuation of this line any more."
        return
    if queries is None or not queries["attribute_runs"]:
        yield "  None: no use of the model stands behind this line."
        return
    yield from wrapped(
        "Uses times influence: how much more likely the source made the answer. Below zero, it made it less "
        "likely."
    )
    if queries["customer_cap"]:
        yield from wrapped(
            f"Each use of the largest customers counts less, so that none stands for more than "
            f"{queries['customer_cap']} of all uses of known customers."
        )
    for each in queries["most"]:
        who = f"  {each['customer_id'] or 'nobody in particular'}" if "customer_id" in each else ""
        doubt = "  unlike the corpus" if each["unlike_corpus"] else ""
        uses = f"{each['uses']:,.6g} x {_nats(each['influence_nats'])}"
        yield printable(
            f"  {each['nats']:>+10.4f} nats  = {uses:<19}  {each['day']}  {each['query_id']}{who}{doubt}"
        )
    rest = queries["asked"] - len(queries["most"])
    if rest:
        yield f"  {queries['others_nats']:>+10.4f} nats  the other {rest:,} queries"
    if abs(queries["corrections_nats"]) >= 5e-5:
        yield f"  {queries['corrections_nats']:>+10.4f} nats  corrections: predictions, and failed simulations"
    yield f"  {queries['total_nats']:>+10.4f} nats  together, as measured"
    yield f"  {', '.join(queries['attribute_runs'])}"


def _simulation(found: Row) -> Iterator[str]:
    rows = found["simulations"]
    if rows:
        first = rows[0]
        base = BASES.get(first["base"], first["base"])
        yield from wrapped(
            f"A source's influence is {NOTIONS.get(first['notion'], first['notion'])}: {base}, {first['mode']}, "
            f"over {first['horizon_steps']:,} steps ({first['horizon']:.0%} of the training's learning rate), "
            f"parameters: {first['scope']}."
        )
    for each in rows[:SIMULATIONS]:
        group = f", a group of {each['sources_removed']}" if each["sources_removed"] > 1 else ""
        name = f"replicate {each['replicate']}, seed {each['seed']}: {each['unit_id']}{group}"
        yield printable(f"  {name}, {_response(each)}")
        if each["artifact_sha256"]:
            yield f"    sha256 {each['artifact_sha256']}"
    if len(rows) > SIMULATIONS:
        yield f"  and {len(rows) - SIMULATIONS} more; --json lists all"
    yield f"  {found['statement']['simulate_run']}"


def _response(simulated: Row) -> str:
    if simulated["failed_step"] is not None:
        return f"failed at step {simulated['failed_step']}: the response exploded"
    smooth = simulated["smoothness"]
    checked = "" if smooth is None else f", changes by {smooth:.0%} at another size"
    return f"response of norm {simulated['response_norm']:.4g}{checked}"


def _training(found: Row) -> Iterator[str]:
    for each in found["training"]:
        size = f"{each['steps']:,} steps, {each['parameters']:,} parameters"
        name = f"replicate {each['replicate']}, seed {each['seed']}"
        yield f"  {name}: {size}, final loss {each['final_loss_nats']:.4f} nats"
        yield f"    sha256 {each['artifact_sha256']}"
    for each in found["learning"]:
        before, after = each["loss_before_nats"], each["loss_after_nats"]
        yield f"  replicate {each['replicate']}: loss on the source {before:.4f} nats before, {after:.4f} after"
    yield f"  {found['statement']['train_run']}"
    if found["training"]:
        first = found["training"][0]
        yield f"  corpus {first['corpus_run']}, sha256 {first['corpus_sha256']}"
    for source in found["corpus"]:
        version = [f"version {source['version']}"] if source["version"] else []
        size = f"{source['documents']:,} documents, {source['tokens']:,} tokens"
        described = ", ".join([source["title"], *version, source["license"], size])
        yield from wrapped(f"Source {source['source_id']}: {described}")
        if source["eligible_tokens"] is not None:
            part = source["eligible_tokens"] / max(source["tokens"], 1)
            yield f"    {part:.0%} of its words are new to it and in an order that makes sense"
        yield f"    sha256 {source['sha256']}"


def _change(found: Row) -> Iterator[str]:
    change = found["change"]
    if change is None:
        yield "  Nothing: there is no statement before this one."
        return
    currency = change["currency"]
    yield f"  {Money(change['before_minor'], currency).text():>16}  for the publisher in {change['since']}"
    for name, cause in CAUSES.items():
        if minor := change[f"{name}_minor"]:
            yield f"  {'+' if minor > 0 else ''}{Money(minor, currency).text()}".rjust(18) + f"  by {cause}"
    yield f"  {Money(change['after_minor'], currency).text():>16}  for the publisher now"
    for note in change["notes"]:
        yield from wrapped(note)


def _major(minor: Fraction, currency: str) -> str:
    """An exact amount in major units, with four digits more than the currency has, halves to even."""
    exponent = Money(0, currency).exponent
    digits = exponent + 4
    whole, rest = divmod(round(minor * 10**4), 10**digits)
    return f"{whole:,}.{rest:0{digits}d}"


def _rounding(exact: Fraction, minor: int) -> str:
    if minor == exact:
        return "(exact)"
    return "(rounded up)" if minor > exact else "(rounded down)"


def _percent(part: Fraction) -> str:
    return f"{float(100 * part):.4f}%"


def _nats(value: float) -> str:
    return f"{value:,.4f}"
