"""The header of a WFDB record (header(5)), checked before any library believes it."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Final

from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: header(5) allows lines of 255 characters; comments of some databases are longer.
_MAX_LINE_CHARS: Final = 4096
_MAX_HEADER_BYTES: Final = 256 * 2**10
_MAX_SIGNALS: Final = 256

#: Bytes of one sample in each storage format (signal(5)). 508, 516 and 524 are FLAC, and not read.
_BYTES_PER_SAMPLE: Final = {
    "8": Fraction(1), "80": Fraction(1), "16": Fraction(2), "61": Fraction(2), "160": Fraction(2),
    "24": Fraction(3), "32": Fraction(4), "212": Fraction(3, 2), "310": Fraction(4, 3), "311": Fraction(4, 3),
}  # fmt: skip

_RECORD: Final = re.compile(
    r"(?P<name>[-\w]+)(?P<segments>/\d+)?\s+(?P<n_sig>\d{1,12})(?:\s+(?P<rest>.*))?", re.ASCII
)
_SIGNAL: Final = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d{1,4})(?:x(?P<per_frame>\d{1,6}))?(?::\d{1,6})?(?:\+(?P<offset>\d{1,9}))?"
    r"(?:\s+(?P<gain>[^\s(/]+)\S*)?(?:\s+.*)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalLine:
    """What must be known of one signal before its samples are read.

    Attributes
    ----------
    per_frame : int
        Samples of it in each frame.
    offset_bytes : int
        What lies in its file before the first sample.
    has_gain : bool
        Whether it is calibrated: a gain that is missing or 0 says that it is not, and 200 a mV is a guess.
    """

    file: str
    storage: str
    per_frame: int
    offset_bytes: int
    has_gain: bool


def check_header(document: Document, limits: ReadLimits) -> tuple[SignalLine, ...]:
    """Return the signals of a header whose files are there and as long as it says.

    Raises
    ------
    FeedRefusedError
        On several segments, on files elsewhere or missing or too short, and on counts beyond the limits.
    """
    lines = _lines(document.content)
    record = _RECORD.fullmatch(lines[0]) if lines else None
    if record is None:
        raise _damaged("its first line is none of a record")
    n_signals = int(record["n_sig"])
    if record["segments"] or not n_signals:
        raise FeedRefusedError(
            "a record of several segments or of no signal; convert it to one segment first",
            RefusalReason.UNSUPPORTED if record["segments"] else RefusalReason.NO_WAVEFORM,
        )
    if n_signals > _MAX_SIGNALS:
        raise FeedRefusedError(
            f"a record of {n_signals} signals, more than the {_MAX_SIGNALS} that are read; export the ECG",
            RefusalReason.TOO_LARGE,
        )
    if len(lines) != 1 + n_signals:
        raise _damaged(f"{n_signals} signals declared, {len(lines) - 1} described")
    rate, _, rest = (record["rest"] or "").partition(" ")
    if not re.match(r"\d*\.?\d+", rate):
        raise FeedRefusedError(
            "its header states no sampling rate; write it into the first line", RefusalReason.IMPLAUSIBLE_RATE
        )
    signals = tuple(_signal(line) for line in lines[1:])
    _require_files(signals, document.companions)
    _require_lengths(signals, document.companions, _first_whole(rest), limits)
    return signals


def _lines(content: bytes) -> list[str]:
    if len(content) > _MAX_HEADER_BYTES:
        raise FeedRefusedError(
            f"its header has {len(content)} bytes, more than any; export it again", RefusalReason.TOO_LARGE
        )
    lines = [line.strip() for line in content.decode("latin-1").splitlines()]
    if any(len(line) > _MAX_LINE_CHARS for line in lines):
        raise FeedRefusedError("its header has a line longer than any; export it again", RefusalReason.UNSAFE)
    return [line for line in lines if line and not line.startswith("#")]


def _signal(line: str) -> SignalLine:
    match = _SIGNAL.fullmatch(line)
    if match is None:
        raise _damaged("a line of its header describes no signal")
    if match["format"] not in _BYTES_PER_SAMPLE:
        raise FeedRefusedError(
            f"its signals are stored in format {match['format']}; convert it to format 16",
            RefusalReason.UNSUPPORTED,
        )
    return SignalLine(
        file=match["file"],
        storage=match["format"],
        per_frame=int(match["per_frame"] or 1),
        offset_bytes=int(match["offset"] or 0),
        has_gain=_number(match["gain"]) != 0.0,
    )


def _number(text: str | None) -> float:
    try:
        return float(text or 0.0)
    except ValueError:
        return 0.0


def _first_whole(rest: str) -> int:
    """Read the samples of each signal, which follow the rate; 0 where the header does not say."""
    first = (rest.split(maxsplit=1) or ["0"])[0]
    if not (first.isascii() and first.isdecimal() and len(first) <= 15):
        raise _damaged("its number of samples is no number")
    return int(first)


def _require_files(signals: tuple[SignalLine, ...], files: Mapping[str, bytes]) -> None:
    for signal in signals:
        if PurePosixPath(signal.file).name != signal.file or "\\" in signal.file:
            raise FeedRefusedError(
                "damaged or incomplete WFDB: its header points to another folder; "
                "put its signal files beside it and name them alone",
                RefusalReason.UNSAFE,
            )
        if signal.file not in files:
            raise FeedRefusedError(
                "the record is incomplete: a signal file that its header names is missing beside it",
                RefusalReason.DAMAGED,
            )


def _require_lengths(
    signals: tuple[SignalLine, ...], files: Mapping[str, bytes], n_frames: int, limits: ReadLimits
) -> None:
    for name, frame_bytes, offset_bytes in _frames(signals):
        n_stored = math.floor((len(files[name]) - offset_bytes) / frame_bytes)
        if n_stored < max(n_frames, 1):
            raise _damaged(f"a signal file holds {max(n_stored, 0)} of {n_frames} samples")
        n_samples = (n_frames or n_stored) * sum(signal.per_frame for signal in signals)
        if n_samples > limits.max_samples:
            raise FeedRefusedError(
                f"{n_samples} samples are more than the {limits.max_samples} that are read; "
                "export the 10 s resting ECG alone",
                RefusalReason.TOO_LARGE,
            )


def _frames(signals: tuple[SignalLine, ...]) -> Iterator[tuple[str, Fraction, int]]:
    """Yield each signal file with the bytes of one frame in it, and of what precedes the first."""
    for name in dict.fromkeys(signal.file for signal in signals):
        inside = [signal for signal in signals if signal.file == name]
        frame_bytes = sum(
            (signal.per_frame * _BYTES_PER_SAMPLE[signal.storage] for signal in inside), start=Fraction(0)
        )
        if not frame_bytes or len({signal.storage for signal in inside}) > 1:
            raise _damaged("signals of one file are stored differently")
        yield name, frame_bytes, max(signal.offset_bytes for signal in inside)


def _damaged(what: str) -> FeedRefusedError:
    return FeedRefusedError(f"damaged or incomplete WFDB: {what}; export it again", RefusalReason.DAMAGED)
