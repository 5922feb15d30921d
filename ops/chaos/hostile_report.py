"""What a run of hostile messages came to, as tables and one line."""

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from ops.chaos.hostile_run import Account, HostileRun

_NOTHING = "—"


def hostile_report(run: HostileRun, account: Account) -> Group:
    """Lay out the ends of all records by stage, what each process used, and the verdict."""
    return Group(_stages(account), _sent(account), _processes(account), verdict_line(run, account))


def verdict_line(run: HostileRun, account: Account) -> str:
    """Say in a line whether it held; faults follow on lines of their own."""
    said = "holds" if account.verdict.holds else f"{len(account.verdict.faults)} FAULTS"
    hostile = len(account.sent) - len(account.sound)
    line = (
        f"{said}: seed {run.seed}, {hostile} hostile messages and {len(account.sound)} sound ECGs "
        f"through {len(run.parts)} processes in {account.took_s:.0f} s"
    )
    return "\n".join((line, *account.verdict.faults))


def _stages(account: Account) -> Table:
    table = _table("stage", "read", "dead letters by code", "results", "not scored, by first reason")
    for stage, ends in account.verdict.stages.items():
        dead = ", ".join(f"{code} {n}" for code, n in ends.dead.most_common())
        reasons = ", ".join(f"{reason} {n}" for reason, n in ends.not_scored.most_common(6))
        table.add_row(stage, str(ends.n), dead or _NOTHING, str(ends.taken), reasons or _NOTHING)
    return table


def _sent(account: Account) -> Table:
    table = _table("topic", "sent")
    for topic, n in sorted(account.by_topic.items()):
        table.add_row(topic, str(n))
    for error, n in account.refused.items():
        table.add_row(f"refused by Kafka: {error}", str(n))
    return table


def _processes(account: Account) -> Table:
    table = _table("process", "MB", "MB at the end", "handles", "at the end", "threads", "at the end")
    if len(account.looks) > 1:
        early, late = account.looks
        for name in early.keys() & late.keys():
            a, b = early[name], late[name]
            cells = (a.rss_mb, b.rss_mb, a.handles, b.handles, a.threads, b.threads)
            table.add_row(name, *(f"{cell:g}" for cell in cells))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
