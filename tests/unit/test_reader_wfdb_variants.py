"""WFDB as it is written elsewhere: storage formats, checksums, zips, and headers that cannot be believed."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from writers.wfdb import PACK, wfdb_record, zipped

from schemas.leads import LEADS_12
from schemas.recorded import Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

COUNTS = np.random.default_rng(5).integers(-120, 120, size=(12, 1001))


def refusal_of(document: Document, limits: ReadLimits | None = None) -> FeedRefusedError:
    began = time.monotonic()
    with pytest.raises(FeedRefusedError) as refusal:
        read(document, ReadOptions(), limits or ReadLimits())
    assert time.monotonic() - began < 2.0
    return refusal.value


@pytest.mark.parametrize("storage", sorted(PACK))
def test_every_storage_format_comes_through_without_loss(storage: str) -> None:
    ecg = read(wfdb_record(COUNTS, storage=storage)).ecg
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert (ecg.lead_names, ecg.uv_per_unit, ecg.sample_rate_hz) == (LEADS_12, 5.0, 500.0)


def test_age_sex_patient_and_time_come_from_the_header() -> None:
    ecg = read(wfdb_record(COUNTS)).ecg
    assert (ecg.age_years, ecg.sex, ecg.patient_id) == (63.0, Sex.FEMALE, "P-77")
    assert ecg.acquired_at == datetime(2024, 2, 29, 8, 30, tzinfo=UTC)


def test_samples_after_a_foreign_beginning_are_found() -> None:
    document = wfdb_record(COUNTS, prefix=b"MATLAB 4 beginning, 24 b")
    np.testing.assert_array_equal(read(document).ecg.samples, COUNTS)


def test_a_flipped_bit_of_a_sample_is_seen_by_its_checksum() -> None:
    document = wfdb_record(COUNTS)
    signal = bytearray(document.companions["r1.dat"])
    signal[2 * 12 * 700] ^= 0x10
    damaged = replace(document, companions={"r1.dat": bytes(signal)})
    assert refusal_of(damaged).reason is RefusalReason.DAMAGED
    assert "lead I " in str(refusal_of(damaged))


def test_signal_files_of_another_record_are_refused() -> None:
    other = np.random.default_rng(8).integers(-120, 120, size=(12, 1001))
    mixed = replace(wfdb_record(COUNTS), companions=wfdb_record(other).companions)
    assert refusal_of(mixed).reason is RefusalReason.DAMAGED


def test_a_header_without_checksums_is_read_and_noted() -> None:
    reading = read(wfdb_record(COUNTS, checksums=False))
    np.testing.assert_array_equal(reading.ecg.samples, COUNTS)
    assert "its header carries no checksums" in reading.notes


@pytest.mark.parametrize("gain", ["0", "0(0)/mV", ""])
def test_a_record_that_is_not_calibrated_is_refused(gain: str) -> None:
    document = wfdb_record(COUNTS)
    content = document.content.replace(b"200(0)/mV 16 0", gain.encode() + (b" 16 0" if gain else b""))
    if not gain:
        content = b"\n".join(
            b" ".join(line.split()[:2]) if line.startswith(b"r1.dat") else line
            for line in content.split(b"\n")
        )
    assert refusal_of(replace(document, content=content)).reason in (
        RefusalReason.UNIT_UNKNOWN,
        RefusalReason.LEADS_MISSING,  # a line that ends before its gain names no lead either
    )


@pytest.mark.parametrize(
    ("first_line", "reason"),
    [
        ("r1 1000000000 500 5000", RefusalReason.TOO_LARGE),
        ("r1 99999999999999999999 500 5000", RefusalReason.DAMAGED),
        ("r1 -12 500 5000", RefusalReason.DAMAGED),
        ("r1 12 500 900000000000", RefusalReason.DAMAGED),
        ("r1 12 500 -5000", RefusalReason.DAMAGED),
        ("r1 12", RefusalReason.IMPLAUSIBLE_RATE),
        ("r1 12 nan 1001", RefusalReason.IMPLAUSIBLE_RATE),
        ("r1 12 0 1001 08:30:00 29/02/2024", RefusalReason.IMPLAUSIBLE_RATE),
        ("r1/3 12 500 1001", RefusalReason.UNSUPPORTED),
        ("r1 0 500 1001", RefusalReason.NO_WAVEFORM),
        ("r1 11 500 1001", RefusalReason.DAMAGED),
        ("r1 12 500 1001 99:99:99 99/99/2024", RefusalReason.DAMAGED),
        ("r1 12 500 " + "9" * 5000, RefusalReason.UNSAFE),
    ],
)
def test_a_first_line_that_cannot_be_believed_is_refused(first_line: str, reason: RefusalReason) -> None:
    assert refusal_of(wfdb_record(COUNTS, first_line=first_line)).reason is reason


def test_more_samples_than_may_be_read_are_refused() -> None:
    assert refusal_of(wfdb_record(COUNTS), ReadLimits(max_samples=12_000)).reason is RefusalReason.TOO_LARGE


def test_compressed_signals_are_refused_as_not_read() -> None:
    document = wfdb_record(COUNTS)
    content = document.content.replace(b"r1.dat 16 ", b"r1.dat 516 ")
    assert refusal_of(replace(document, content=content)).reason is RefusalReason.UNSUPPORTED


def files(document: Document) -> dict[str, bytes]:
    return {"r1.hea": document.content, **document.companions}


def zip_of(entries: dict[str, bytes]) -> Document:
    return Document(content=zipped(entries))


def same(reading: Reading) -> None:
    np.testing.assert_array_equal(reading.ecg.samples, COUNTS)


@pytest.mark.parametrize("folder", ["", "r1/"])
def test_a_zipped_record_reads_as_the_record_itself(folder: str) -> None:
    document = wfdb_record(COUNTS)
    zipped_reading = read(zip_of({folder + name: content for name, content in files(document).items()}))
    same(zipped_reading)
    assert zipped_reading.ecg.ecg_id == read(document).ecg.ecg_id


def test_what_a_mac_adds_to_a_zip_is_passed_over() -> None:
    same(read(zip_of({**files(wfdb_record(COUNTS)), "__MACOSX/._r1.hea": b"x"})))


def _marked_as_encrypted(content: bytes) -> bytes:
    marked = bytearray(content)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        found = marked.find(signature)
        while found >= 0:
            marked[found + place] |= 1
            found = marked.find(signature, found + 4)
    return bytes(marked)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"../r1.hea": b"", "../r1.dat": b""}, RefusalReason.UNSAFE),
        ({"/etc/r1.hea": b""}, RefusalReason.UNSAFE),
        ({"a/r1.hea": b"", "b/r1.dat": b""}, RefusalReason.UNSAFE),
        ({"C:\\r1.hea": b""}, RefusalReason.UNSAFE),
        ({"a.txt": b"hello"}, RefusalReason.UNKNOWN_FORMAT),
        ({"r1.hea": b"", "r2.hea": b""}, RefusalReason.UNSUPPORTED),
        ({f"{i}.dat": b"" for i in range(100)}, RefusalReason.TOO_LARGE),
        ({f"{i:05}.dat": b"" for i in range(5000)}, RefusalReason.TOO_LARGE),
        ({"r1.hea": b"r1 12 500", "r1.dat": b"\0" * (80 * 2**20)}, RefusalReason.TOO_LARGE),
    ],
)
def test_a_zip_that_is_no_record_is_refused_for_its_reason(
    entries: dict[str, bytes], reason: RefusalReason
) -> None:
    assert refusal_of(zip_of(entries)).reason is reason


def test_a_zip_that_understates_what_it_swells_to_is_refused() -> None:
    content = bytearray(zipped({"r1.hea": b"r1 12 500", "r1.dat": b"\0" * (80 * 2**20)}))
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")  # its size in the directory
    assert refusal_of(Document(content=bytes(content))).reason is RefusalReason.DAMAGED


def test_an_encrypted_zip_is_refused() -> None:
    content = _marked_as_encrypted(zipped(files(wfdb_record(COUNTS))))
    assert refusal_of(Document(content=content)).reason is RefusalReason.UNSUPPORTED


def test_a_zip_cut_short_or_flipped_is_refused() -> None:
    content = zipped(files(wfdb_record(COUNTS)))
    assert refusal_of(Document(content=content[:-30])).reason is RefusalReason.DAMAGED
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    assert refusal_of(Document(content=bytes(flipped))).reason is RefusalReason.DAMAGED
