"""SCP-ECG records as tests need them: plain, differences, Huffman-coded, reference beats subtracted."""

import binascii
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.leads import LEADS_12

Counts = npt.NDArray[np.int64]
CODE = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64, "-aVR": 65, "V7": 9} | {
    f"V{i}": i + 2 for i in range(1, 7)
}
NONE = 29999


def crc(content: bytes) -> bytes:
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF))


def section(number: int, body: bytes, *, version: int = 13) -> bytes:
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6x", number, 16 + len(body), version, version) + body
    return crc(rest) + rest


def record(sections: Mapping[int, bytes], *, pointers: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """Frame bodies of sections, with checksums; ``pointers`` are added to section 0 as they are."""
    numbers = sorted(sections)
    bodies = {number: section(number, sections[number]) for number in numbers}
    length = 16 + 10 * (max(12, len(numbers)) + len(pointers))
    listed = [(0, length, 7)]
    place = 7 + length
    for number in range(1, 12):
        size = len(bodies.get(number, b""))
        listed.append((number, size, place if size else 0))
        place += size
    listed += pointers
    head = section(0, b"".join(struct.pack("<HII", *pointer) for pointer in listed))
    whole = head + b"".join(bodies[number] for number in numbers)
    rest = struct.pack("<I", 6 + len(whole)) + whole
    return crc(rest) + rest


def tag(number: int, content: bytes) -> bytes:
    return struct.pack("<BH", number, len(content)) + content


def text(words: str) -> bytes:
    return words.encode("latin-1") + b"\0"


def identity(
    *,
    patient: str = "P-77",
    zone_minutes: int | None = 60,
    date: tuple[int, int, int] = (2024, 2, 29),
    clock: tuple[int, int, int] = (8, 30, 0),
    sex: int = 2,
    without: Sequence[int] = (),
) -> bytes:
    device = struct.pack("<HHHBB", 1, 2, 3, 0, 0) + b"MODEL7" + bytes([13, 0xD0, 0, 0, 1]) + b"\0" * 17
    device += b"".join(text(words) for words in ("PROG", "SN-1", "1.0", "SCP", "Maker"))
    tags = {
        2: text(patient),
        0: text("Doe"),
        5: struct.pack("<HBB", 1960, 3, 1),
        8: bytes([sex]),
        14: device,
        16: text("North"),
        18: text("Cardiology"),
        25: struct.pack("<HBB", *date),
        26: bytes(clock),
    }
    if zone_minutes is not None:
        tags[34] = struct.pack("<hH", zone_minutes, 0) + b"\0"
    return b"".join(tag(number, tags[number]) for number in tags if number not in without) + tag(255, b"")


def lead_definitions(
    leads: Sequence[str],
    n_samples: int,
    *,
    flags: int = 0b100,
    ranges: Sequence[tuple[int, int]] | None = None,
) -> bytes:
    spans = ranges or [(1, n_samples)] * len(leads)
    body = bytes([len(leads), flags | (min(len(leads), 31) << 3)])
    return body + b"".join(
        struct.pack("<IIB", *span, CODE[lead]) for lead, span in zip(leads, spans, strict=True)
    )


def differences(row: Counts, order: int) -> Counts:
    if order == 1:
        return np.diff(row, prepend=0)
    if order == 2:
        return np.concatenate([row[:2], row[2:] - 2 * row[1:-1] + row[:-2]])
    return row


def huffman(row: Counts) -> bytes:
    """Code by the default table (EN 1064 annex C): unary up to 8, then 8 or 16 bits."""
    bits = "".join(_code(int(number)) for number in row)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _code(number: int) -> str:
    if number == 0:
        return "0"
    if abs(number) <= 8:
        return "1" * abs(number) + "0" + ("1" if number < 0 else "0")
    if -128 <= number <= 127:
        return "1111111110" + f"{number & 0xFF:08b}"
    return "1111111111" + f"{number & 0xFFFF:016b}"


def samples_of(
    counts: Counts, *, avm_nv: int, interval_us: int, order: int, is_huffman: bool, bimodal: int = 0
) -> bytes:
    """Body of sections 5 and 6."""
    rows = [differences(row, order) for row in counts]
    coded = [huffman(row) if is_huffman else row.astype("<i2").tobytes() for row in rows]
    coded = [row + b"\0" * (len(row) % 2) for row in coded]
    head = struct.pack("<HHBB", avm_nv, interval_us, order, bimodal)
    return head + b"".join(struct.pack("<H", len(row)) for row in coded) + b"".join(coded)


def measurements(
    *,
    rr_ms: int = 833,
    edges_ms: Sequence[int] = (100, 210, 260, 355, 660),
    axes_deg: Sequence[int] = (45, -30, 60),
    rate_bpm: int = 72,
    qtc_ms: int = 438,
) -> bytes:
    body = struct.pack("<BBHH", 1, 0, rr_ms, 0) + struct.pack("<5H3h", *edges_ms, *axes_deg)
    return body + struct.pack("<HB", 1, 0) + struct.pack("<HHHBB", rate_bpm, 0, qtc_ms, 1, 0)


def scp_bytes(
    counts: Counts,
    *,
    leads: Sequence[str] = LEADS_12,
    avm_nv: int = 2500,
    interval_us: int = 2000,
    order: int = 0,
    is_huffman: bool = False,
    bimodal: int = 0,
    sections: Mapping[int, bytes] | None = None,
) -> bytes:
    """A record of counts (n_leads, n_samples); ``sections`` replaces bodies, or adds them."""
    bodies = {
        1: identity(),
        3: lead_definitions(leads, counts.shape[1]),
        6: samples_of(
            counts,
            avm_nv=avm_nv,
            interval_us=interval_us,
            order=order,
            is_huffman=is_huffman,
            bimodal=bimodal,
        ),
        7: measurements(),
    }
    if is_huffman:
        bodies[2] = struct.pack("<H", 19999)
    return record({**bodies, **(sections or {})})


def with_reference_beats(
    counts: Counts, beats: Counts, fiducials: Sequence[int], *, fiducial: int, beat_avm_nv: int = 2500
) -> bytes:
    """Counts of which ``beats`` (n_leads, n) are subtracted around ``fiducials``; all is Huffman-coded."""
    residual, n = counts.copy(), beats.shape[1]
    scale = beat_avm_nv // 2500
    zones = []
    for each in fiducials:
        first = each - fiducial + 1  # counted from 1, as all of SCP-ECG's positions are
        residual[:, first - 1 : first - 1 + n] -= beats * scale
        zones.append(struct.pack("<HIII", 0, first, each, first + n - 1))
    section_4 = struct.pack("<HHH", n * 2, fiducial, len(fiducials)) + b"".join(zones)
    return scp_bytes(
        residual,
        order=2,
        is_huffman=True,
        sections={
            3: lead_definitions(LEADS_12, counts.shape[1], flags=0b101),
            4: section_4,
            5: samples_of(beats, avm_nv=beat_avm_nv, interval_us=2000, order=2, is_huffman=True),
        },
    )
