"""The comparison as a table for people."""

import math
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from models.study.estimate import Estimate
from ops.burden.burden import Burden
from ops.burden.replay import Seen

_NOTHING: Final = "—"
_HEADINGS: Final = (
    "per 100\nbeds a day",
    "alerts",
    "patients\nalerted",
    "repeats",
    "stepped\nup",
    "first seen\nhigh",
    "time in\nhigh",
)
_LABELLED: Final = ("PPV", "sensi-\ntivity", "needed to\nevaluate", "with a\nlabel")


def burden_table(burdens: Sequence[Burden], *, has_labels: bool) -> Table:
    """Lay policies out, one a row; intervals of 95 % below, and — for what cannot be said."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("policy\nenter / exit", no_wrap=True)
    for heading in (*_HEADINGS, *(_LABELLED if has_labels else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    for burden in burdens:
        policy = burden.policy
        table.add_row(
            Text(f"{policy.version}\n{policy.enter_threshold:g} / {policy.exit_threshold:g}"),
            *_row(burden),
            *(_labelled_row(burden) if has_labels else ()),
        )
    return table


def heading(seen: Seen, *, beds: int, is_beds_given: bool, is_simulated: bool) -> str:
    """Say what was replayed."""
    if seen.first is None or seen.last is None:
        return "no assessments to replay"
    what = "simulated ward, which says nothing of your patients: " if is_simulated else ""
    of_beds = f"{beds} beds" if is_beds_given else f"{beds} beds, as many as patients (give --beds)"
    return (
        f"{what}{seen.n_ecgs} ECGs of {len(seen.patients)} patients, {seen.n_scored} scored, "
        f"{seen.first:%Y-%m-%d} to {seen.last:%Y-%m-%d} ({seen.days:.1f} days), {of_beds}"
    )


def _row(burden: Burden) -> tuple[str, ...]:
    return (
        _with_interval(burden.rate, "{:.1f}"),
        str(burden.n_alerts),
        str(burden.n_patients_alerted),
        str(burden.n_repeats),
        str(burden.n_stepped_up),
        _with_interval(burden.first_seen, "{:.0%}"),
        _with_interval(burden.high, "{:.0%}"),
    )


def _labelled_row(burden: Burden) -> tuple[str, ...]:
    return (
        _with_interval(burden.ppv, "{:.0%}"),
        _with_interval(burden.sensitivity, "{:.0%}"),
        _with_interval(burden.to_evaluate, "{:.1f}"),
        str(burden.n_labelled),
    )


def _with_interval(estimate: Estimate | None, form: str) -> str:
    if estimate is None or math.isnan(estimate.value):
        return _NOTHING
    if math.isnan(estimate.low):
        return form.format(estimate.value)
    low, high = form.format(estimate.low), "∞" if math.isinf(estimate.high) else form.format(estimate.high)
    return f"{form.format(estimate.value)}\n{low}–{high}"
