"""What a campaign came to, as tables: faults survived by kind, and what was lost, invented, contradictory."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from ops.chaos.results import SeedResult


def survived_by_kind(results: Sequence[SeedResult]) -> dict[str, tuple[int, int]]:
    """Count by kind of fault: injected, and of these in seeds that hold."""
    injected: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for result in results:
        for fault in result.injected:
            injected[fault["kind"]] += 1
            survived[fault["kind"]] += result.holds
    return {kind: (count, survived[kind]) for kind, count in sorted(injected.items())}


def totals(results: Sequence[SeedResult]) -> dict[str, int]:
    """Add up what all seeds came to."""
    summed: Counter[str] = Counter()
    for result in results:
        summed.update(result.totals)
    return {
        "seeds": len(results),
        "seeds that hold": sum(result.holds for result in results),
        "faults injected": sum(len(result.injected) for result in results),
        "messages in": summed["messages"],
        "ECGs": summed["ecgs"],
        "scored": summed["scored"],
        "not scored, with a reason": summed["not_scored"],
        "dead letters": summed["dead"],
        "alerts raised": summed["raised"],
        "alerts closed": summed["closed"],
        "assessments written again": summed["assessed_again"],
        "alerts written again": summed["alerts_again"],
        "worker starts": sum(result.restarts for result in results),
        "alerts lost": sum(len(result.lost) for result in results),
        "alerts invented": sum(len(result.invented) for result in results),
        "alerts contradictory": sum(len(result.contradictory) for result in results),
        "other differences": sum(len(result.others) for result in results),
    }


def report_tables(results: Sequence[SeedResult]) -> list[Table]:
    """Make the tables for the console."""
    by_kind = Table("fault", "injected", "survived", title="Faults survived by kind")
    for kind, (injected, survived) in survived_by_kind(results).items():
        by_kind.add_row(kind, str(injected), str(survived))
    summed = Table("", "count", title="All seeds")
    for name, count in totals(results).items():
        summed.add_row(name, f"{count:,}".replace(",", " "))
    tables = [by_kind, summed]
    failed = [result for result in results if not result.holds]
    if failed:
        wrong = Table("seed", "first difference", "kept in", title="Seeds that do not hold")
        for result in failed:
            first = next(iter((*result.lost, *result.invented, *result.contradictory, *result.others)), "?")
            wrong.add_row(str(result.seed), first, result.kept_in)
        tables.append(wrong)
    return tables
