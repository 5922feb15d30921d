"""EDF, EDF+, BDF and BDF+ files as tests need them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.leads import LEADS_12


@dataclass(frozen=True, kw_only=True)
class EdfSignal:
    """One signal: counts (n_samples,), a whole number of records long."""

    label: str
    counts: npt.NDArray[np.int64]
    unit: str = "uV"
    physical: tuple[str, str] = ("-3276.8", "3276.7")
    digital: tuple[int, int] = (-32768, 32767)


def ecg_signals(
    counts: npt.NDArray[np.int64],
    *,
    label: str = "ECG {}",
    leads: Sequence[str] = LEADS_12,
    unit: str = "uV",
    physical: tuple[str, str] = ("-3276.8", "3276.7"),
    digital: tuple[int, int] = (-32768, 32767),
) -> list[EdfSignal]:
    return [
        EdfSignal(label=label.format(lead), counts=row, unit=unit, physical=physical, digital=digital)
        for lead, row in zip(leads, counts, strict=True)
    ]


def _stored(counts: npt.NDArray[np.int64], sample_bytes: int) -> bytes:
    if sample_bytes == 2:
        return counts.astype("<i2").tobytes()
    return (counts & 0xFFFFFF).astype("<u4").view("u1").reshape(-1, 4)[:, :3].tobytes()


def annotations(n_records: int, record_s: float, n_bytes: int, *, first_s: float = 0.0) -> list[bytes]:
    """Time-keeping annotations, one block of ``n_bytes`` for each record."""
    return [
        f"+{first_s + record * record_s:g}\x14\x14\0".encode().ljust(n_bytes, b"\0")
        for record in range(n_records)
    ]


def edf_bytes(
    signals: Sequence[EdfSignal],
    *,
    n_records: int = 10,
    record_s: str = "1",
    variant: str = "EDF+C",
    patient: str = "P-77 F 01-MAR-1960 Doe_Jane",
    recording: str = "Startdate 29-FEB-2024 A-1 TT Model_7",
    date: str = "29.02.24",
    clock: str = "08.30.00",
    first_s: float | None = 0.0,
    sample_bytes: int = 2,
    n_declared: int | None = None,
) -> bytes:
    """A file; ``first_s`` None leaves the annotation channel out."""
    notes = [] if first_s is None else annotations(n_records, float(record_s), 60, first_s=first_s)
    kind = "EDF" if sample_bytes == 2 else "BDF"
    per_record = [signal.counts.size // n_records for signal in signals] + [60 // sample_bytes] * bool(notes)
    rows = [
        (s.label, "electrode", s.unit, *s.physical, str(s.digital[0]), str(s.digital[1]), "HP:0.05Hz")
        for s in signals
    ]
    if notes:
        rows.append((f"{kind} Annotations", "", "", "-1", "1", "-32768", "32767", ""))
    widths = (16, 80, 8, 8, 8, 8, 8, 80)
    head = "0" if sample_bytes == 2 else "\xffBIOSEMI"
    fixed = [
        (head, 8), (patient, 80), (recording, 80), (date, 8), (clock, 8), (str(256 * (1 + len(rows))), 8),
        (variant, 44), (str(n_records if n_declared is None else n_declared), 8), (record_s, 8),
        (str(len(rows)), 4),
    ]  # fmt: skip
    text = "".join(field.ljust(width) for field, width in fixed)
    for column, width in enumerate(widths):
        text += "".join(row[column].ljust(width) for row in rows)
    text += "".join(str(n).ljust(8) for n in per_record) + " " * (32 * len(rows))
    body = b""
    for record in range(n_records):
        for signal, n in zip(signals, per_record, strict=False):
            body += _stored(signal.counts[record * n : (record + 1) * n], sample_bytes)
        body += notes[record] if notes else b""
    return text.encode("latin-1") + body
