"""Read without fault, and yet not true: what no electrode gives, no cart exports and no clock should say.

Only what is impossible is refused. What is merely not good enough to be scored (too short, noise, a lead off,
an unusual rate, electrodes exchanged) is taken, and said downstream (:mod:`models.quality`).

===================== ============================== ====================================================
reason                refused                        why there
===================== ============================== ====================================================
IMPLAUSIBLE_DURATION  under 1 s, over 1 h            a heart beats once a second: less is a median beat
                                                     or a piece, more a Holter, or a wrong rate
IMPLAUSIBLE_AMPLITUDE no lead moves by 5 µV          noise alone has 10 µV: a wrong unit, no electrode on
IMPLAUSIBLE_AMPLITUDE half of the leads have beats   the largest R waves have 6 mV, in a lead or two: a
                      of more than 30 mV             wrong unit
CONTRADICTORY_LEADS   limb leads at odds             :mod:`streams.feeds.limb_law`
DAMAGED               single samples of limb leads   :mod:`streams.feeds.limb_law`
                      at odds with the others
IMPLAUSIBLE_AMPLITUDE 2 % of a lead's samples go     hum of an open lead that does so has 70 mV (50 Hz
                      forth and back by 20 mV        at 500 Hz); this is no signal, but bytes misread
DAMAGED               single samples of one lead     1 mV that comes and goes within one sample while no
                      alone                          other lead moves is faster than recorders let
                                                     through (150 Hz); pacing spikes are in many leads
TIME_IN_FUTURE        10 min after now               clocks that are right differ by less
===================== ============================== ====================================================

**Cannot be told** from samples: a rate, or a factor common to all leads, that is wrong and yet gives a
possible ECG; a factor or an exchange within V1–V6; a change below 1 mV in a chest lead or 25 µV in a limb
lead; and leads shifted against each other, or all together, where limb leads are not redundant. Formats that
carry checksums, or say a thing twice, are held to that by their readers.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.recorded import EcgRecorded
from streams.feeds.limb_law import Breach, breach_of
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: As :data:`streams.featurize.CLOCK_SKEW`, which tells the same of an ECG that came by another way.
MAX_AHEAD: Final = timedelta(minutes=10)

MIN_SECONDS: Final = 1.0
MAX_SECONDS: Final = 3600.0

MIN_MOVEMENT_UV: Final = 5.0
MAX_BEAT_UV: Final = 30_000.0

#: A beat's excursion is that within so long: longer than any QRS, shorter than drifts of the baseline.
_BEAT_S: Final = 0.2
#: Of the stretches of 0.2 s, at most a sixth has a QRS at 50 beats a minute; this share lies within those.
_BEAT_QUANTILE: Final = 0.95

#: A sample that stands alone by so much, µV, is none that was recorded; of the real recordings this was tried
#: on none has one of 20 µV.
LONE_UV: Final = 1000.0
#: … while its own neighbours and, at that instant, all other leads keep within this share of it.
_QUIET_SHARE: Final = 0.1

#: A lead of which so many samples go forth and back by so much, µV, is no signal. Spikes that pace two
#: chambers are 0.5 % of the samples at 500 Hz.
ZIGZAG_UV: Final = 20_000.0
_ZIGZAG_SHARE: Final = 0.02

#: Rates that recorders use, Hz.
_USUAL_RATES_HZ: Final = frozenset(
    {100, 120, 125, 128, 180, 200, 240, 250, 256, 257, 300, 320, 360, 400, 480, 500, 512, 600}
    | {720, 800, 960, 977, 1000, 1024, 1200, 1600, 2000, 2048, 4000}
)  # fmt: skip

#: Where clocks start that nobody set: Unix, DOS, most real-time clock chips, Windows, GPS, PalmOS.
_CLOCK_STARTS: Final = frozenset(
    {(1900, 1, 1), (1904, 1, 1), (1970, 1, 1), (1980, 1, 1), (1980, 1, 6), (1990, 1, 1), (2000, 1, 1)}
)

_OLD: Final = timedelta(days=20 * 365.25)


def require_plausible(ecg: EcgRecorded, now: datetime) -> None:
    """Refuse an ECG that cannot be one, or cannot be of its time: both of the two below.

    Raises
    ------
    FeedRefusedError
        Of the reasons above; the message says what to look at.
    """
    require_plausible_waveform(ecg)
    require_plausible_time(ecg.acquired_at, now)


def require_plausible_waveform(ecg: EcgRecorded) -> None:
    """Refuse samples that no ECG has; takes some ms for 10 s, so feeds do it where they read.

    Raises
    ------
    FeedRefusedError
        Of the reasons above, but that of time.
    """
    _require_duration(ecg.samples.shape[1] / ecg.sample_rate_hz)
    _require_amplitude(ecg)
    _require_no_zigzag(ecg)
    _require_limb_law(breach_of(ecg.samples, ecg.lead_names, ecg.uv_per_unit))
    _require_no_lone_samples(ecg)


def require_plausible_time(acquired_at: datetime, now: datetime) -> None:
    """Refuse a time that is yet to come; both aware.

    Raises
    ------
    FeedRefusedError
        TIME_IN_FUTURE, when it is more than :data:`MAX_AHEAD` from now.
    """
    if acquired_at > now + MAX_AHEAD:
        raise FeedRefusedError(
            f"acquired {_shown(acquired_at - now)} from now; set the cart's clock, or its zone here "
            "(DIASTOLE_TIMEZONE)",
            RefusalReason.TIME_IN_FUTURE,
        )


def remarks(ecg: EcgRecorded, now: datetime) -> tuple[str, ...]:
    """Say what is possible, but seldom true; nothing of the patient.

    Examples
    --------
    A cart whose clock was never set says 1 January 2000.
    """
    said = []
    if _is_clock_start(ecg.acquired_at):
        said.append(
            f"acquired on {ecg.acquired_at:%Y-%m-%d}, where clocks that nobody set start; check the cart's"
        )
    elif now - ecg.acquired_at > _OLD:
        said.append(f"acquired in {ecg.acquired_at.year}, more than 20 years ago; check the cart's clock")
    if ecg.sample_rate_hz not in _USUAL_RATES_HZ:
        said.append(
            f"a sampling rate of {ecg.sample_rate_hz:g} Hz is unusual; check that the export is right"
        )
    return tuple(said)


def _is_clock_start(acquired_at: datetime) -> bool:
    """Whether it is within the first day of such a clock, in whatever zone."""
    days = (acquired_at.astimezone(UTC) + timedelta(hours=hours) for hours in (-12, 0, 14))
    return any((day.year, day.month, day.day) in _CLOCK_STARTS for day in days)


def _shown(ahead: timedelta) -> str:
    hours = ahead.total_seconds() / 3600.0
    if hours < 2.0:
        return f"{hours * 60.0:.0f} min"
    return f"{hours:.1f} h" if hours < 48.0 else f"{ahead.days} days"


def _require_duration(seconds: float) -> None:
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise FeedRefusedError(
            f"its leads last {seconds:.3g} s, expected {MIN_SECONDS:g} s to {MAX_SECONDS:g} s; "
            "export the 10 s rhythm recording, and check its sampling rate",
            RefusalReason.IMPLAUSIBLE_DURATION,
        )


def _require_amplitude(ecg: EcgRecorded) -> None:
    movement_uv = float(np.ptp(ecg.samples.astype(np.int32), axis=1).max()) * ecg.uv_per_unit
    if movement_uv < MIN_MOVEMENT_UV:
        raise FeedRefusedError(
            f"no lead moves by more than {movement_uv:.2g} µV; check its unit and scale, and the electrodes",
            RefusalReason.IMPLAUSIBLE_AMPLITUDE,
        )
    beat_uv = _beat_units(ecg) * ecg.uv_per_unit
    if beat_uv > MAX_BEAT_UV:
        raise FeedRefusedError(
            f"half of its leads have beats of {beat_uv / 1000.0:.0f} mV and more, which no heart has; "
            "check its unit and scale",
            RefusalReason.IMPLAUSIBLE_AMPLITUDE,
        )


def _beat_units(ecg: EcgRecorded) -> float:
    """Return the excursion of a beat in the median lead, units."""
    width = max(1, round(_BEAT_S * ecg.sample_rate_hz))
    n_stretches = max(1, ecg.samples.shape[1] // width)
    stretches = ecg.samples[:, : n_stretches * width].reshape(len(ecg.samples), n_stretches, -1)
    excursions = np.ptp(stretches.astype(np.int32), axis=2)  # (n_leads, n_stretches)
    return float(np.median(np.quantile(excursions, _BEAT_QUANTILE, axis=1)))


def _require_no_zigzag(ecg: EcgRecorded) -> None:
    steps = np.diff(ecg.samples.astype(np.int32), axis=1)  # (n_leads, n_samples - 1)
    is_large = np.abs(steps) >= ZIGZAG_UV / ecg.uv_per_unit
    turns = is_large[:, 1:] & is_large[:, :-1] & ((steps[:, 1:] > 0) != (steps[:, :-1] > 0))
    wild = np.count_nonzero(turns, axis=1) >= _ZIGZAG_SHARE * steps.shape[1]
    if wild.any():
        leads = [ecg.lead_names[row] for row in wild.nonzero()[0]]
        raise FeedRefusedError(
            f"lead {', '.join(leads)} goes forth and back by {ZIGZAG_UV / 1000.0:g} mV between samples, "
            "which is no signal; the file was damaged: export it again",
            RefusalReason.IMPLAUSIBLE_AMPLITUDE,
        )


def _require_limb_law(breach: Breach | None) -> None:
    if breach is None:
        return
    which = f"lead {', '.join(breach.leads)}" if breach.leads else "they"
    if breach.is_damage:
        raise FeedRefusedError(
            f"{breach.n_samples} samples of its limb leads ({which}) contradict the others; "
            "the file was damaged: export it again",
            RefusalReason.DAMAGED,
        )
    raise FeedRefusedError(
        f"its limb leads contradict each other ({which} cannot be what the others say): mislabelled, turned "
        "over or of another scale; correct the export",
        RefusalReason.CONTRADICTORY_LEADS,
    )


def _require_no_lone_samples(ecg: EcgRecorded) -> None:
    lone = lone_samples(ecg.samples, LONE_UV / ecg.uv_per_unit)
    if lone.any():
        leads = [ecg.lead_names[row] for row in np.unique(lone.nonzero()[0])]
        raise FeedRefusedError(
            f"{int(np.count_nonzero(lone))} samples stand alone by {LONE_UV / 1000.0:g} mV and more "
            f"({', '.join(leads)}), faster than any recorder; the file was damaged: export it again",
            RefusalReason.DAMAGED,
        )


def lone_samples(samples: npt.NDArray[np.int16], limit: float) -> npt.NDArray[np.bool_]:
    """Mark samples that leave their lead by ``limit`` for one sample, all else being quiet.

    Parameters
    ----------
    samples : numpy.ndarray
        int16, (n_leads, n_samples).
    limit : float
        Units of the samples.

    Returns
    -------
    numpy.ndarray
        bool, (n_leads, n_samples); the first two and last two samples, whose neighbours are not known, and
        leads of fewer than five are never marked.

    Examples
    --------
    >>> flat = np.zeros((2, 7), dtype=np.int16)
    >>> flat[0, 3] = 900
    >>> lone_samples(flat, 500.0)[0].nonzero()
    (array([3]),)
    """
    marked = np.zeros(samples.shape, dtype=np.bool_)
    if samples.shape[1] < 5:
        return marked
    steps = np.diff(samples.astype(np.int32), axis=1)  # (n_leads, n_samples - 1)
    into, out_of = steps[:, 1:-2], -steps[:, 2:-1]  # of samples 2 … n - 3
    height = np.where(np.sign(into) == np.sign(out_of), np.minimum(np.abs(into), np.abs(out_of)), 0)
    beside = np.maximum(np.abs(steps[:, :-3]), np.abs(steps[:, 3:]))  # their neighbours' own steps
    at_rest = np.maximum(np.abs(into - out_of), beside) <= _QUIET_SHARE * height
    moving = np.maximum(np.abs(into), np.abs(out_of))
    loudest = np.sort(moving, axis=0)[-2:]  # of all leads, at that instant
    others = np.where(moving == loudest[-1], loudest[0], loudest[-1])
    marked[:, 2:-2] = (height >= limit) & at_rest & (others <= _QUIET_SHARE * height)
    return marked
