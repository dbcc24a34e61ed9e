"""`tribute policy`: registers a policy for a period and shows it with the time it was registered."""

import json

from tribute.config import Project
from tribute.royalty.division import policy_json
from tribute.royalty.exact import canonical_json
from tribute.royalty.exact.calendar import period_days
from tribute_jobs.period.terms import period_policy, register_policy
from tribute_jobs.printing import terminal
from tribute_storage import Lake, open_tables


def register(project: Project, period: str, reason: str, as_json: bool) -> None:
    """Register the project's policy unless it is registered, and print since when it binds.

    Raises:
        PolicyError: another one is registered and there is no reason.
    """
    rule, (_, after) = period_policy(project), period_days(period)
    lake = Lake(project.lake_root)
    register_policy(project, lake, period, reason)
    with open_tables(lake.root, "policies") as connection:
        rows = connection.execute(
            "select strftime(r.committed_at, '%Y-%m-%dT%H:%M:%SZ') from policies p join runs r using (run_id) "
            "where r.table_name = 'policies' and p.period = $1 and p.sha256 = $2 order by 1 desc limit 1",
            [period, rule.sha256],
        ).fetchall()
    since = rows[0][0]
    before = since < after
    if as_json:
        content = json.loads(canonical_json(policy_json(rule)))
        print(json.dumps(content | {"sha256": rule.sha256, "registered": since, "before_period_ended": before}))
        return
    console = terminal()
    console.print(f"{rule.name} version {rule.version}, sha256 {rule.sha256}", soft_wrap=True)
    console.print(
        f"Registered for {period} at {since}, {'before' if before else 'after'} the period ended.\n",
        soft_wrap=True,
    )
    console.print(rule.text, soft_wrap=True)
