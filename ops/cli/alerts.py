"""``diastole alerts``: what is open, what became of alerts, and what another policy would have meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ops.cli.console import err, out
from ops.cli.durations import parse_duration
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError
from streams.assembly import build_codec
from streams.policy import Policy, load_policy
from streams.settings import Settings
from streams.stage import utc_now
from streams.topology import ECG_RECORDED

if TYPE_CHECKING:
    from ops.burden.burden import Burden
    from schemas.risk import RiskAssessed
    from streams.deliver.case import AlertCase

app = typer.Typer(help="Open alerts, labels out of alerts, and the burden of policies.", no_args_is_help=True)

#: Days of alerts that are read.
_WINDOW_DAYS: Final = 90.0

DaysOption = Annotated[float, typer.Option(min=1, help="Alerts raised in the last so many days.")]
WithCareTeamOption = Annotated[
    bool, typer.Option("--with-care-team", help="Also from accepting and rejecting, without an outcome.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ward:
    """What is replayed."""

    risks: "Sequence[RiskAssessed]"
    labels: Mapping[str, bool] | None
    is_simulated: bool


@app.command("simulate")
def simulate(
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy", help="A policy file; repeatable. Default DIASTOLE_POLICY or the shipped one."
        ),
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(help="Also each policy at other enter thresholds: FROM:TO:STEP, e.g. 0.5:0.95:0.05."),
    ] = None,
    beds: Annotated[
        int | None, typer.Option(min=1, help="Beds of the patients; default one a patient.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Count from then on: a day (2026-03-01) or a time ago (30d).")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV of labels (diastole alerts labels): PPV and sensitivity as well.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw it: a .png or .svg.")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Replay a simulated ward, not what the broker stores.")
    ] = False,
    days: Annotated[float, typer.Option(min=1, max=3650, help="With --simulated: how long.")] = 42.0,
    seed: Annotated[
        int, typer.Option(min=0, help="With --simulated: the same seed plays the same patients.")
    ] = 1,
    broker: BrokerOption = None,
) -> None:
    """Replay stored risk under policies, and say how many alerts each would have meant.

    Reads ecg.risk.v1 from its beginning and decides again with the code that alerts; changes nothing.
    Intervals are of 95 %. An alert takes the label of its ECG, else of the patient's nearest labelled one
    within 30 days; labels that come from alerts cannot tell what was missed, so sensitivity wants labels of
    all comers.

    Example: diastole alerts simulate --policy now.toml --policy calmer.toml --beds 40 --since 30d
    """
    settings = prepared(broker=broker)
    policies = _policies(policy, thresholds, settings)
    counted_from = None if since is None else _moment(since)
    if simulated and labels is not None:
        raise ConfigurationError("a simulated ward has labels of its own: leave out --labels or --simulated")
    ward = _simulated(beds, days, seed, settings) if simulated else _stored(settings, labels)
    _compare(ward, policies, beds, counted_from, plot)


@app.command("labels")
def labels(
    path: Annotated[Path, typer.Argument(metavar="OUT.csv", help="Written whole, over what was there.")],
    into: Annotated[
        list[Path] | None,
        typer.Option(
            "--into",
            help="Also write them into cohort.csv of this folder of a paired cohort whose keys are ecg_ids, "
            "such as one of diastole alerts cohort; repeatable.",
        ),
    ] = None,
    with_care_team: WithCareTeamOption = False,
    days: DaysOption = _WINDOW_DAYS,
    broker: BrokerOption = None,
) -> None:
    """Write what became of alerts as labels of their ECGs.

    diastole alerts simulate reads the file, diastole train the folders of --into. The file holds no patient:
    its key is the ecg_id. Again gives the same file. A label a folder has of its own is never replaced.
    """
    from streams.deliver.labels import join_labels, labels_of, write_labels

    cases = run(_read_cases(prepared(broker=broker), days))
    found = labels_of(cases, with_care_team=with_care_team)
    _say(f"{write_labels(path, found)} labels written to {path}")
    for folder in into or ():
        joined = join_labels(folder, found)
        _say(
            f"{folder}: {joined.n_labelled} ECGs labelled, {joined.n_changed} changed, {joined.n_kept} left "
            f"as they are, {joined.n_absent} labels of ECGs that are not in it"
        )


@app.command("cohort")
def cohort(
    folder: Annotated[Path, typer.Argument(help="New or empty.")],
    key_file: Annotated[
        Path, typer.Option(help="Hides patients; diastole identity key makes one. The same one every time.")
    ],
    with_care_team: WithCareTeamOption = False,
    days: DaysOption = _WINDOW_DAYS,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The ECGs are of simulated people; bundles then say so.")
    ] = False,
    broker: BrokerOption = None,
) -> None:
    """Write the ECGs that raised alerts, with the labels known so far, for diastole train --alerted.

    ECGs come from ecg.recorded.v1, which keeps them 14 days: do this at least as often. Outcomes that come
    later are written in by diastole alerts labels --into. Patients are pseudonyms, under the key; the ECGs
    are theirs all the same.

    Example: diastole alerts cohort alerted-2026-03 --key-file patients.key
    """
    from streams.deliver.alerted_cohort import PURPOSE, recorded_ecgs, write_alerted
    from streams.deliver.labels import LabelsError, labels_of
    from streams.feeds.sealing import Secret

    salt = Secret.load(key_file).derive(PURPOSE)
    settings = prepared(broker=broker)
    cases = run(_read_cases(settings, days))
    wanted = {case.alert.ecg_id for case in cases}
    ecgs = run(recorded_ecgs(settings.kafka, build_codec(settings), wanted))
    if not ecgs:
        raise LabelsError(
            f"of {len(wanted)} ECGs that raised alerts {ECG_RECORDED} holds none; "
            "do this before its retention takes them"
        )
    found = labels_of(cases, with_care_team=with_care_team)
    joined = write_alerted(folder, ecgs, found, salt=salt, is_simulated=simulated)
    _say(
        f"{len(ecgs)} of {len(wanted)} ECGs that raised alerts written to {folder}, {joined.n_labelled} with "
        f"a label; {len(wanted) - len(ecgs)} are not on {ECG_RECORDED} any more"
    )


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Answered and closed ones as well.")] = False,
    days: DaysOption = _WINDOW_DAYS,
    broker: BrokerOption = None,
) -> None:
    """List alerts that nobody has answered, the newest first. Prints patient identifiers."""
    cases = run(_read_cases(prepared(broker=broker), days))
    shown = [case for case in cases if everything or case.is_open]
    if not shown:
        out().print("no open alerts" if not everything else "no alerts")
        return
    out().print(cases_table(shown, utc_now()))


def cases_table(cases: "Sequence[AlertCase]", now: datetime) -> Table:
    """Lay alerts out, one a row; times UTC."""
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in ("raised (UTC)", "age", "state", "level", "ward", "patient", "risk", "alert_id"):
        table.add_column(name, no_wrap=True)
    table.add_column("what changed")
    for case in cases:
        alert, age_h = case.alert, (now - case.raised_at).total_seconds() / 3600
        before = "—" if alert.probability_before is None else f"{alert.probability_before:.2f}"
        table.add_row(
            f"{case.raised_at:%Y-%m-%d %H:%M}",
            f"{age_h:.1f} h",
            case.state.value,
            str(case.level),
            Text(alert.ward_id or "—"),
            Text(alert.patient_id),
            f"{before} → {alert.probability:.2f}",
            alert.alert_id,
            Text(alert.change_text),
        )
    return table


async def _read_cases(settings: Settings, days: float) -> "list[AlertCase]":
    from streams.deliver.book import open_case_book

    async with open_case_book(
        settings.kafka, build_codec(settings), window_days=days, writer="command"
    ) as book:
        cases = list(book.book.cases.values())
    return sorted(cases, key=lambda case: (case.raised_at, case.alert.alert_id), reverse=True)


def _say(text: str) -> None:
    out().print(text, markup=False, soft_wrap=True)


def _policies(files: Sequence[Path] | None, thresholds: str | None, settings: Settings) -> list[Policy]:
    from ops.burden.policies import at_thresholds, parse_thresholds

    given = [load_policy(file) for file in files or (settings.policy,)]
    if thresholds is not None:
        sweep = parse_thresholds(thresholds)
        given = [
            moved
            for each in given
            for moved in sorted(
                (each, *at_thresholds(each, sweep)), key=lambda policy: policy.enter_threshold
            )
        ]
    # A threshold of the sweep may be the policy's own.
    return list({policy.version: policy for policy in given}.values())


def _moment(text: str) -> datetime:
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        return utc_now() - parse_duration(text)
    return day.replace(tzinfo=UTC) if day.tzinfo is None else day.astimezone(UTC)


def _stored(settings: Settings, labels: Path | None) -> _Ward:
    from ops.burden.label_file import read_labels
    from ops.burden.stored import stored_risks

    known = None if labels is None else read_labels(labels)
    risks, unread = run(stored_risks(settings.kafka, build_codec(settings)))
    if unread:
        err().print(f"{unread} messages are no assessments and were left out")
    return _Ward(risks=risks, labels=known, is_simulated=False)


def _simulated(beds: int | None, days: float, seed: int, settings: Settings) -> _Ward:
    # Imported here: torch and scipy take seconds, which other commands need not wait.
    from models.bundle import DEFAULT_BUNDLE, load_bundle
    from models.predictor import Predictor
    from ops.burden.simulated import SimulatedWard, simulated_risks

    ward = SimulatedWard(beds=beds or SimulatedWard().beds, days=days, seed=seed)
    bundle = load_bundle(settings.bundle or DEFAULT_BUNDLE)
    predictor = Predictor(bundle, device="cpu", threads=settings.threads or None)
    console = err()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulated ward", total=ward.n_rounds * ward.beds)
        risks, labels = simulated_risks(ward, predictor, lambda n: progress.advance(task, n))
    return _Ward(risks=risks, labels=labels, is_simulated=True)


def _compare(
    ward: _Ward, policies: Sequence[Policy], beds: int | None, since: datetime | None, plot: Path | None
) -> None:
    from ops.burden.burden import burden_of
    from ops.burden.replay import replay, seen
    from ops.burden.table import burden_table, heading

    looked_at = seen(ward.risks, since)
    n_beds = beds or max(len(looked_at.patients), 1)
    said = heading(looked_at, beds=n_beds, is_beds_given=beds is not None, is_simulated=ward.is_simulated)
    out().print(said, markup=False, soft_wrap=True)
    if not looked_at.n_ecgs:
        raise typer.Exit(code=1)
    burdens: list[Burden] = [
        burden_of(replay(ward.risks, each, since), looked_at, beds=n_beds, labels=ward.labels)
        for each in policies
    ]
    out().print(burden_table(burdens, has_labels=ward.labels is not None))
    if plot is not None:
        from ops.burden.plot import draw

        draw(plot, burdens, said)
        out().print(f"drawn: {plot}", markup=False, soft_wrap=True)
