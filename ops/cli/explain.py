"""``diastole explain``: what a bundle says of one ECG file, and on which of its parts that rests."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from ops.bars import bar
from ops.cli.console import out
from ops.cli.publish import parse_zone
from ops.cli.setup import prepared
from ops.rendering import decimal, reason_words
from schemas.errors import PoisonError
from schemas.recorded import Sex

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from models.bundle import Bundle
    from models.prediction import Prediction
    from models.saliency import Saliency
    from schemas.featurized import EcgFeaturized

#: Widest bar of a contribution, characters.
_WIDEST: Final = 20
#: Log-odds that fill it: a factor of about 7 in the odds.
_FULL_LOG_ODDS: Final = 2.0
#: Bars that a lead's 10 s are drawn with where there is room for so many characters, and where not.
_STRIP_BARS: Final = 100
_STRIP_ROOM: Final = 118
_FEW_STRIP_BARS: Final = 50
#: Of the answer nothing depends on when the ECG was recorded.
_SOME_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_DIGITS: Final = {"_cm_s": 1, "_mm": 1, "_ms": 0}


def explain(
    file: Annotated[Path, typer.Argument(help="An ECG file: DICOM, WFDB header, HL7 aECG.")],
    bundle_path: Annotated[
        Path | None, typer.Option("--bundle", help="Default DIASTOLE_BUNDLE or the shipped one.")
    ] = None,
    age: Annotated[float | None, typer.Option(min=0, max=130, help="Age, for files that give none.")] = None,
    sex: Annotated[
        Sex, typer.Option(case_sensitive=False, help="Sex, for files that give none.")
    ] = Sex.UNKNOWN,
) -> None:
    """Score one ECG file and say what the answer rests on.

    By part, by synthetic motion, by lead, and by the piece of the beat and of the 10 s. Nothing is published.
    Exit code 1 when the ECG is not scored.

    Example: diastole explain cart-export.dcm --age 71 --sex female
    """
    # Imported here: torch takes seconds, and most commands do without.
    from models.bundle import DEFAULT_BUNDLE, load_bundle
    from models.predictor import Predictor
    from models.saliency import explain as explain_ecg
    from streams.infer import not_scored_reasons

    settings = prepared()
    bundle = load_bundle(bundle_path or settings.bundle or DEFAULT_BUNDLE)
    ecg = _featurized(file, settings.timezone, age, sex)
    reasons = not_scored_reasons(ecg, bundle.manifest.eligibility)
    if reasons:
        out().print(f"not scored: {reason_words(reasons)}", markup=False)
        raise typer.Exit(code=1)
    (prediction,) = Predictor(bundle, device="cpu", batch_sizes=(1,)).predict([ecg])
    _print_person(ecg)
    _print_answer(bundle, prediction)
    _print_motion(prediction)
    _print_saliency(explain_ecg(bundle, ecg))
    out().print(bundle.manifest.not_for_text, markup=False)


def _featurized(file: Path, zone: str, age: float | None, sex: Sex) -> "EcgFeaturized":
    from streams.featurize import featurize
    from streams.feeds.files import read_file
    from streams.feeds.readers.options import ReadOptions
    from streams.stage import Received

    options = ReadOptions(timezone=parse_zone(zone), acquired_at=_SOME_TIME, patient_id="explained")
    ecg = read_file(file, options).ecg
    ecg = replace(
        ecg,
        age_years=age if ecg.age_years is None else ecg.age_years,
        sex=sex if ecg.sex is Sex.UNKNOWN else ecg.sex,
    )
    (featurized,) = featurize([Received(record=ecg, published_at=ecg.acquired_at)])
    if isinstance(featurized, PoisonError):
        raise featurized
    return featurized


def _print_person(ecg: "EcgFeaturized") -> None:
    age = "unknown" if ecg.age_years is None else f"{ecg.age_years:g} years"
    out().print(f"age {age}, sex {ecg.sex.lower()}", markup=False)


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


def _print_motion(prediction: "Prediction") -> None:
    from models.motion_measurements import MOTION_COLUMNS
    from models.study.words import title

    motion = prediction.motion
    if motion is None:
        out().print("no synthetic motion: the ECG has no whole beat", markup=False)
        return
    table = Table("synthetic motion", "", "standard deviation", title_justify="left")
    for name in MOTION_COLUMNS:
        digits = next((digits for unit, digits in _DIGITS.items() if name.endswith(unit)), 2)
        deviation = getattr(motion, name.replace("_cm_s", "_sd_cm_s")) if name.endswith("_cm_s") else None
        said = "" if deviation is None else f"± {decimal(deviation, digits)}"
        table.add_row(title(name), decimal(getattr(motion, name), digits), said)
    out().print(table)


def _signed_bar(log_odds: float) -> Text:
    length = round(min(abs(log_odds) / _FULL_LOG_ODDS, 1.0) * _WIDEST)
    return Text("█" * length, style="red" if log_odds > 0 else "green")


def _print_saliency(saliency: "Saliency") -> None:
    """Show what rests on each lead, its median beat and its 10 s as rows of bars: the taller, the more."""
    console = out()
    _print_pieces("median beat, 20 ms a bar, R at the 20th", saliency.beat, saliency.lead_shares)
    n = _STRIP_BARS if console.width >= _STRIP_ROOM else _FEW_STRIP_BARS
    strip = saliency.strip.reshape(len(saliency.strip), n, -1).sum(axis=-1)
    _print_pieces(f"the 10 s, {10_000 // n} ms a bar", strip, saliency.lead_shares)
    beat, strip_share = saliency.beat.sum(), saliency.strip.sum()
    for line in (
        f"{beat:.0%} rests on the median beat, through the motion, {strip_share:.0%} on the 10 s, encoded.",
        "Measurements, age and sex were held fixed.",
        "First order (gradient × input): this is not what the model would say without that piece.",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _print_pieces(what: str, pieces: "npt.NDArray[np.float32]", of_lead: "Mapping[str, float]") -> None:
    """Show one row of bars for each lead, those first on which most rests."""
    from schemas.leads import LEADS_8

    most = float(pieces.max()) or 1.0
    table = Table("lead", "share", what, title_justify="left")
    for lead in of_lead:
        bins = pieces[LEADS_8.index(lead)]
        table.add_row(lead, f"{bins.sum():.0%}", "".join(bar(float(each) / most) for each in bins))
    out().print(table)
