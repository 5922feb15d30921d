"""``diastole explain``: what a bundle says of one ECG file, and on which of its parts that rests."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from ops.bars import bar
from ops.cli.console import out
from ops.cli.publish import parse_acquired_at, parse_zone
from ops.cli.setup import prepared
from ops.rendering import plain, reason_words
from schemas.errors import PoisonError

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.prediction import Prediction
    from models.saliency import Saliency
    from schemas.featurized import EcgFeaturized

#: Widest bar of a contribution, characters.
_WIDEST: Final = 20
#: Log-odds that fill it: a factor of about 7 in the odds.
_FULL_LOG_ODDS: Final = 2.0


def explain(
    file: Annotated[Path, typer.Argument(help="An ECG file: DICOM, WFDB header, HL7 aECG.")],
    bundle_path: Annotated[
        Path | None, typer.Option("--bundle", help="Default DIASTOLE_BUNDLE or the shipped one.")
    ] = None,
    age: Annotated[float | None, typer.Option(min=0, max=130, help="Age, for files that give none.")] = None,
    acquired_at: Annotated[
        str | None, typer.Option(help="Start of the recording (ISO 8601), for files that give none.")
    ] = None,
) -> None:
    """Score one ECG file and say what the answer rests on.

    By part, by synthetic motion, by lead, and by the piece of the beat. Nothing is published. Exit code 1
    when the ECG is not scored.

    Example: diastole explain cart-export.dcm
    """
    # Imported here: torch takes seconds, and most commands do without.
    from models.bundle import DEFAULT_BUNDLE, load_bundle
    from models.predictor import Predictor
    from models.saliency import explain as explain_ecg
    from streams.infer import not_scored_reasons

    settings = prepared()
    bundle = load_bundle(bundle_path or settings.bundle or DEFAULT_BUNDLE)
    at = parse_acquired_at(acquired_at, parse_zone(settings.timezone))
    ecg = _featurized(file, at, settings.timezone, age)
    reasons = not_scored_reasons(ecg, bundle.manifest.eligibility)
    if reasons:
        out().print(f"not scored: {reason_words(reasons)}", markup=False)
        raise typer.Exit(code=1)
    (prediction,) = Predictor(bundle, device="cpu", batch_sizes=(1,)).predict([ecg])
    _print_answer(bundle, prediction)
    _print_saliency(explain_ecg(bundle, ecg))
    out().print(bundle.manifest.not_for_text, markup=False)


def _featurized(file: Path, at: datetime | None, zone: str, age: float | None) -> "EcgFeaturized":
    from dataclasses import replace

    from streams.featurize import featurize
    from streams.feeds.read import read
    from streams.feeds.readers.options import ReadOptions
    from streams.stage import Received

    options = ReadOptions(timezone=parse_zone(zone), acquired_at=at, patient_id="explained")
    ecg = read(file, options)
    if ecg.age_years is None and age is not None:
        ecg = replace(ecg, age_years=age)
    (featurized,) = featurize([Received(record=ecg, published_at=ecg.acquired_at)])
    if isinstance(featurized, PoisonError):
        raise featurized
    return featurized


def _print_answer(bundle: "Bundle", prediction: "Prediction") -> None:
    out().print(
        f"probability {prediction.probability:.2f} "
        f"(90 % interval {prediction.probability_low:.2f}–{prediction.probability_high:.2f}), "
        f"HIGH from {bundle.manifest.threshold.probability:.2f}; bundle {bundle.version}",
        markup=False,
    )
    table = Table("part", "log-odds", "", title="what moves it, against the reference", title_justify="left")
    for part in prediction.contributions:
        table.add_row(part.name, f"{part.log_odds:+.2f}", _signed_bar(part.log_odds))
    out().print(table)
    if prediction.motion is None:
        return
    motion = Table("synthetic motion", "", title_justify="left")
    measured: dict[str, Any] = plain(prediction.motion)
    for name, number in measured.items():
        if name != "velocities_cm_s":
            motion.add_row(name, "–" if number is None else f"{number:.2f}")
    out().print(motion)


def _signed_bar(log_odds: float) -> Text:
    length = round(min(abs(log_odds) / _FULL_LOG_ODDS, 1.0) * _WIDEST)
    return Text("█" * length, style="red" if log_odds > 0 else "green")


def _print_saliency(saliency: "Saliency") -> None:
    """Show each lead's share, and its median beat as a row of bars: the taller, the more rests on it."""
    from schemas.leads import LEADS_8

    most = float(saliency.beat.max()) or 1.0
    table = Table("lead", "share", "median beat, 20 ms a bar, R at the 20th", title_justify="left")
    for lead, share in saliency.lead_shares.items():
        bins = saliency.beat[LEADS_8.index(lead)]
        table.add_row(lead, f"{share:.0%}", "".join(bar(float(each) / most) for each in bins))
    out().print(table)
