"""The header of an EDF or BDF file (edfplus.info, Kemp 1992 and 2003), checked against the file's length."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Fixed part, and the same again for each signal.
_BLOCK: Final = 256

_BDF_MAGIC: Final = b"\xffBIOSEMI"

#: More signals than a sleep laboratory records.
_MAX_SIGNALS: Final = 512

#: Widths of a signal's fields in their order; each is written for all signals before the next.
_WIDTHS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)

#: Numbers as EDF writes them; Python would also take "nan", "1_0" and digits of other scripts.
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(\.\d{0,20})?([eE][+-]?\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal as described.

    Attributes
    ----------
    physical, digital : tuple of float, tuple of int
        Minimum and maximum, the first in ``unit``; together they are its calibration.
    per_record : int
        Samples of it in each data record.
    place : int
        Samples before it in each data record.
    """

    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    per_record: int
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfHeader:
    """What the header says.

    Attributes
    ----------
    sample_bytes : int
        2 in EDF, 3 in BDF.
    record_s : float
        Duration of one data record, s.
    variant : str
        ``EDF+C``, ``EDF+D``, or what else stands in the reserved field.
    """

    patient: str
    recording: str
    date: str
    time: str
    variant: str
    n_records: int
    record_s: float
    sample_bytes: int
    signals: tuple[Signal, ...]

    @property
    def n_bytes(self) -> int:
        """Length of the header itself."""
        return _BLOCK * (1 + len(self.signals))

    @property
    def per_record(self) -> int:
        """Samples of all signals in each data record."""
        return sum(signal.per_record for signal in self.signals)


def read_header(content: bytes) -> EdfHeader:
    """Read the header of a file that is as long as it says.

    Raises
    ------
    FeedRefusedError
        When a field is no number, or the length is another.
    """
    if len(content) < _BLOCK:
        raise _damaged("it ends within its header")
    text = content[:_BLOCK].decode("latin-1")
    n_signals = _whole(text[252:256], "number of signals")
    if not 1 <= n_signals <= _MAX_SIGNALS:
        raise _damaged(f"{n_signals} signals where 1 to {_MAX_SIGNALS} are read")
    described = content[_BLOCK : _BLOCK * (1 + n_signals)].decode("latin-1")
    if len(described) < _BLOCK * n_signals or _whole(text[184:192], "header's length") != _BLOCK * (
        1 + n_signals
    ):
        raise _damaged("its header has another length than its signals need")
    header = EdfHeader(
        patient=text[8:88].strip(),
        recording=text[88:168].strip(),
        date=text[168:176].strip(),
        time=text[176:184].strip(),
        variant=text[192:236].strip(),
        n_records=_whole(text[236:244], "number of records"),
        record_s=_number(text[244:252], "duration of a record"),
        sample_bytes=3 if content.startswith(_BDF_MAGIC) else 2,
        signals=tuple(_signals(described, n_signals)),
    )
    _require_length(header, len(content))
    return header


def _signals(described: str, n_signals: int) -> Iterator[Signal]:
    columns: list[list[str]] = []
    begins_at = 0
    for width in _WIDTHS:
        columns.append(
            [described[begins_at + i * width : begins_at + (i + 1) * width].strip() for i in range(n_signals)]
        )
        begins_at += width * n_signals
    place = 0
    for label, _, unit, low, high, digital_low, digital_high, _, per_record, _ in zip(*columns, strict=True):
        signal = Signal(
            label=label,
            unit=unit,
            physical=(_number(low, "physical minimum"), _number(high, "physical maximum")),
            digital=(_whole(digital_low, "digital minimum"), _whole(digital_high, "digital maximum")),
            per_record=_whole(per_record, "number of samples"),
            place=place,
        )
        if signal.per_record < 0:
            raise _damaged("a negative number of samples")
        place += signal.per_record
        yield signal


def _require_length(header: EdfHeader, n_bytes: int) -> None:
    if header.n_records < 0:
        raise _damaged("its recording was never closed; export it when it is finished")
    declared = header.n_bytes + header.n_records * header.per_record * header.sample_bytes
    if declared != n_bytes:
        raise _damaged(f"{n_bytes} bytes where its header declares {declared}")


def _number(text: str, what: str) -> float:
    stripped = text.strip("\0 ")
    if not _NUMBER.fullmatch(stripped) or not math.isfinite(float(stripped)):
        raise _damaged(f"its {what} is no number")
    return float(stripped)


def _whole(text: str, what: str) -> int:
    number = _number(text, what)
    if not number.is_integer() or abs(number) > 10**9:
        raise _damaged(f"its {what} is no whole number")
    return int(number)


def _damaged(what: str) -> FeedRefusedError:
    return FeedRefusedError(f"damaged or incomplete EDF: {what}; export it again", RefusalReason.DAMAGED)
