"""WFDB records as tests need them: headers and signal files written by hand, format by format."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import numpy.typing as npt

from schemas.leads import LEADS_12
from streams.feeds.document import Document

Counts = npt.NDArray[np.int64]


def _of_212(flat: Counts) -> bytes:
    pairs = np.append(flat, 0)[: len(flat) + len(flat) % 2].reshape(-1, 2) & 0xFFF  # two samples in 3 bytes
    rows = [pairs[:, 0] & 0xFF, (pairs[:, 0] >> 8) | ((pairs[:, 1] >> 8) << 4), pairs[:, 1] & 0xFF]
    return np.stack(rows, axis=1).astype("u1").tobytes()


def _threes(flat: Counts) -> Counts:
    return np.append(flat, [0, 0])[: len(flat) + -len(flat) % 3].reshape(-1, 3) & 0x3FF


def _of_310(flat: Counts) -> bytes:
    first, second, third = _threes(flat).T
    words = [(first << 1) | ((third & 31) << 11), (second << 1) | ((third >> 5) << 11)]
    return np.stack(words, axis=1).astype("<u2").tobytes()


def _of_311(flat: Counts) -> bytes:
    first, second, third = _threes(flat).T
    return (first | (second << 10) | (third << 20)).astype("<u4").tobytes()


def _of_24(flat: Counts) -> bytes:
    return (flat & 0xFFFFFF).astype("<u4").view("u1").reshape(-1, 4)[:, :3].tobytes()


#: How each storage format of signal(5) writes samples, frame by frame.
PACK = {
    "16": lambda flat: flat.astype("<i2").tobytes(),
    "61": lambda flat: flat.astype(">i2").tobytes(),
    "32": lambda flat: flat.astype("<i4").tobytes(),
    "80": lambda flat: (flat + 128).astype("u1").tobytes(),
    "24": _of_24,
    "212": _of_212,
    "310": _of_310,
    "311": _of_311,
}


def wfdb_record(
    counts: Counts,
    *,
    leads: Sequence[str] = LEADS_12,
    storage: str = "16",
    gain: str = "200(0)/mV",
    rate_hz: float = 500,
    first_line: str = "r1 {n_sig} {rate} {n_samples} 08:30:00 29/02/2024",
    comments: Sequence[str] = ("# <age>: 63 <sex>: F", "# subject_id: P-77"),
    checksums: bool = True,
    signal_file: str = "r1.dat",
    prefix: bytes = b"",
) -> Document:
    """A record of one signal file; counts are (n_leads, n_samples)."""
    lines = [first_line.format(n_sig=len(leads), rate=rate_hz, n_samples=counts.shape[1])]
    offset = f"+{len(prefix)}" if prefix else ""
    for lead, row in zip(leads, counts, strict=True):
        sums = f"{row[0]} {(int(row.sum()) + 2**15) % 2**16 - 2**15}" if checksums else "0 0"
        lines.append(f"{signal_file} {storage}{offset} {gain} 16 0 {sums} 0 {lead}")
    header = "\n".join([*lines, *comments]) + "\n"
    return Document(
        content=header.encode(),
        name="r1.hea",
        companions={signal_file: prefix + PACK[storage](counts.T.reshape(-1))},
    )


def zipped(files: Mapping[str, bytes]) -> bytes:
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
