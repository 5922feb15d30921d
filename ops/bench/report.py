"""The bench's result: tables for people, one JSON file for comparing."""

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench.measure import RunResult
from ops.bench.tally import Spread
from ops.percentiles import in_ms


def machine() -> dict[str, object]:
    """Say what was measured on, without naming the machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average_1_min_before": round(os.getloadavg()[0], 2),
    }


def write_json(path: Path, at: datetime, on: dict[str, object], results: Sequence[RunResult]) -> None:
    """Write all results with the machine they are of."""
    runs = [dataclasses.asdict(result) for result in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": at.isoformat(), "machine": on, "runs": runs}, indent=2) + "\n")


def print_report(console: Console, on: dict[str, object], results: Sequence[RunResult]) -> None:
    """Print both tables and what they do not say by themselves."""
    console.print(
        f"On {on['cores']} cores of {on['processor']}, load {on['load_average_1_min_before']} before; "
        "the load generator and the reader of results share these cores. Arrivals are Poisson and do not "
        "wait (open loop); latencies count from when an ECG was due. Not counted: a warm-up of the workers, "
        "and the first seconds of each rate.",
        markup=False,
        soft_wrap=True,
    )
    console.print(_runs_table(results))
    for result in results:
        if result.rate_per_s is not None:
            console.print(_parts_table(result))
    for verdict in filter(None, map(verdict_of, results)):
        console.print(verdict, style="bold red", markup=False, soft_wrap=True)


def verdict_of(result: RunResult) -> str | None:
    """Say what did not hold in a run; None when all did."""
    name = f"{result.broker}, {_rate(result)}"
    if result.lost:
        return f"{name}: {result.lost} of {result.ecgs} ECGs never ended; look into the workers' logs"
    if result.sustained is False:
        return (
            f"{name}: NOT SUSTAINED. The lag grew steadily, by {result.trend.growth_s:.1f} s during the run, "
            f"and {result.open_at_end} ECGs were waiting when the last one was sent: the latencies say how "
            f"long the run was, not how fast the pipeline is. It does {result.done_per_s:.1f} ECG/s."
        )
    return None


def _runs_table(results: Sequence[RunResult]) -> Table:
    table = Table(title="from due to done", title_justify="left")
    table.add_column("broker")
    for heading in (
        "offered",
        "ECGs",
        "done/s",
        "waiting at end",
        "lag growth",
        "risk p50",
        "p99",
        "alert p50",
        "p99",
        "alerts",
    ):
        table.add_column(heading, justify="right")
    table.add_column("sustained")
    for r in results:
        latencies = (r.to_risk.p50_ms, r.to_risk.p99_ms, r.to_alert.p50_ms, r.to_alert.p99_ms)
        table.add_row(
            r.broker,
            _rate(r),
            str(r.ecgs),
            f"{r.done_per_s:.1f}",
            str(r.open_at_end),
            "" if r.rate_per_s is None else in_ms(r.trend.growth_s * 1000.0),
            *(in_ms(latency) for latency in latencies),
            str(r.to_alert.count),
            {None: "", True: "yes", False: "NO"}[r.sustained],
        )
    return table


def _parts_table(result: RunResult) -> Table:
    batches = ", ".join(f"{stage} {size:.1f}" for stage, size in result.batch_sizes.items())
    title = f"where the time goes: {result.broker}, {_rate(result)} (mean batch: {batches})"
    table = Table("part", title=title, title_justify="left")
    for heading in ("mean", "p50", "p99"):
        table.add_column(heading, justify="right")
    for part, spread in result.parts.items():
        table.add_row(part, *_spread_ms(spread))
    table.add_section()
    table.add_row("due to risk: all of these (means add up)", *_spread_ms(result.to_risk))
    table.add_row("risk to alert, where one was raised", *_spread_ms(result.risk_to_alert))
    return table


def _spread_ms(spread: Spread) -> tuple[str, str, str]:
    return _fine_ms(spread.mean_ms), _fine_ms(spread.p50_ms), _fine_ms(spread.p99_ms)


def _rate(result: RunResult) -> str:
    return "backlog" if result.rate_per_s is None else f"{result.rate_per_s:g}/s"


def _fine_ms(latency_ms: float | None) -> str:
    return "—" if latency_ms is None else f"{latency_ms:.1f} ms"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
