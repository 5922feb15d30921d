import struct
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from writers.scp import (
    NONE,
    crc,
    identity,
    lead_definitions,
    measurements,
    record,
    samples_of,
    scp_bytes,
    with_reference_beats,
)

from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import CartStatement, EcgRecorded, Sex
from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

RNG = np.random.default_rng(5)
#: A walk, so that differences are small as an ECG's are, with jumps that need the long codes.
COUNTS = np.cumsum(RNG.integers(-12, 13, size=(12, 1001)), axis=1)
COUNTS[:, 500:520] += 700


def ecg_of(content: bytes, options: ReadOptions | None = None) -> EcgRecorded:
    return read(Document(content=content), options).ecg


def refusal_of(content: bytes, limits: ReadLimits | None = None) -> FeedRefusedError:
    began = time.monotonic()
    with pytest.raises(FeedRefusedError) as refusal:
        read(Document(content=content), ReadOptions(), limits or ReadLimits())
    assert time.monotonic() - began < 2.0
    assert "P-77" not in str(refusal.value)
    return refusal.value


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("is_huffman", [False, True])
def test_every_coding_reads_back_equal(order: int, is_huffman: bool) -> None:
    ecg = ecg_of(scp_bytes(COUNTS, order=order, is_huffman=is_huffman))
    np.testing.assert_array_equal(ecg.samples, COUNTS)
    assert (ecg.lead_names, ecg.uv_per_unit, ecg.sample_rate_hz) == (LEADS_12, 2.5, 500.0)


def test_subtracted_reference_beats_are_added_again() -> None:
    beats = np.cumsum(RNG.integers(-20, 21, size=(12, 300)), axis=1)
    content = with_reference_beats(COUNTS, beats, (200, 550, 850), fiducial=150)
    np.testing.assert_array_equal(ecg_of(content).samples, COUNTS)


def test_reference_beats_may_have_a_scale_of_their_own() -> None:
    beats = np.cumsum(RNG.integers(-20, 21, size=(12, 300)), axis=1)
    content = with_reference_beats(COUNTS, beats, (200, 550), fiducial=150, beat_avm_nv=5000)
    ecg = ecg_of(content)
    np.testing.assert_array_equal(ecg.samples * ecg.uv_per_unit, COUNTS * 2.5)


def test_patient_device_and_time_come_from_section_one() -> None:
    ecg = ecg_of(scp_bytes(COUNTS))
    assert (ecg.patient_id, ecg.sex, ecg.age_years) == ("P-77", Sex.FEMALE, 63.0)
    assert (ecg.device_id, ecg.source_system, ecg.source_format) == ("SN-1", "Maker MODEL7", "SCP-ECG")
    assert (ecg.site_id, ecg.ward_id) == ("North", "Cardiology")
    assert ecg.acquired_at == datetime(2024, 2, 29, 7, 30, tzinfo=UTC)
    assert (ecg.acquired_zone, ecg.is_zone_assumed) == ("+01:00", False)


def test_a_time_without_zone_is_the_sites() -> None:
    ecg = ecg_of(scp_bytes(COUNTS, sections={1: identity(zone_minutes=None)}))
    assert ecg.acquired_at == datetime(2024, 2, 29, 8, 30, tzinfo=UTC)
    assert ecg.is_zone_assumed


@pytest.mark.parametrize(("interval_us", "rate_hz"), [(1000, 1000.0), (4000, 250.0), (1953, 1e6 / 1953)])
def test_the_rate_is_that_of_the_stated_interval(interval_us: int, rate_hz: float) -> None:
    assert ecg_of(scp_bytes(COUNTS, interval_us=interval_us)).sample_rate_hz == pytest.approx(
        rate_hz, rel=1e-12
    )


def test_the_carts_measurements_appear() -> None:
    assert ecg_of(scp_bytes(COUNTS)).cart == CartStatement(
        heart_rate_bpm=72.0,
        p_duration_ms=110.0,
        pr_ms=160.0,
        qrs_ms=95.0,
        qt_ms=400.0,
        qtc_ms=438.0,
        p_axis_deg=45.0,
        qrs_axis_deg=-30.0,
        t_axis_deg=60.0,
    )


def test_what_the_cart_did_not_find_is_not_stated() -> None:
    section_7 = measurements(
        edges_ms=(NONE, NONE, 260, 355, NONE), axes_deg=(999, 0, NONE), rate_bpm=0, qtc_ms=0
    )
    assert ecg_of(scp_bytes(COUNTS, sections={7: section_7})).cart == CartStatement(
        heart_rate_bpm=72.0,  # of the RR interval, 833 ms
        qrs_ms=95.0,
        qrs_axis_deg=0.0,
    )


def test_eight_leads_in_any_order_and_an_inverted_avr_are_read() -> None:
    leads = ("V6", *LEADS_8[:7], "-aVR", "V7")
    rows = [11, 0, 1, 6, 7, 8, 9, 10, 3, 2]
    reading = read(Document(content=scp_bytes(COUNTS[rows], leads=leads)))
    assert reading.ecg.lead_names == ("V6", *LEADS_8[:7], "aVR")
    np.testing.assert_array_equal(reading.ecg.samples[-1], -COUNTS[3])
    assert "V7" in reading.notes[-1]


WHOLE = scp_bytes(COUNTS, order=2, is_huffman=True)


@pytest.mark.parametrize("place", [3, 30, 200, 400, len(WHOLE) // 2, len(WHOLE) - 3])
def test_a_flipped_bit_anywhere_is_seen(place: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= 0x04
    assert refusal_of(bytes(damaged)).reason in (RefusalReason.DAMAGED, RefusalReason.UNKNOWN_FORMAT)


def test_a_flipped_bit_under_a_mended_record_checksum_is_seen_by_the_sections() -> None:
    damaged = bytearray(WHOLE)
    damaged[-40] ^= 0x04
    damaged[:2] = crc(bytes(damaged[2:]))
    assert refusal_of(bytes(damaged)).reason is RefusalReason.DAMAGED


@pytest.mark.parametrize("n_bytes", [40, 200, len(WHOLE) - 1])
def test_a_record_cut_short_is_refused(n_bytes: int) -> None:
    assert refusal_of(WHOLE[:n_bytes]).reason is RefusalReason.DAMAGED


def without(number: int, **parts: bytes) -> bytes:
    bodies = {
        1: identity(),
        3: lead_definitions(LEADS_12, 1001),
        6: samples_of(COUNTS, avm_nv=2500, interval_us=2000, order=0, is_huffman=False),
    }
    del bodies[number]
    return record(bodies)


def ranged(ranges: list[tuple[int, int]]) -> bytes:
    return scp_bytes(COUNTS, sections={3: lead_definitions(LEADS_12, 1001, ranges=ranges)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (without(1), RefusalReason.NO_PATIENT),
        (without(3), RefusalReason.NO_WAVEFORM),
        (without(6), RefusalReason.DAMAGED),
        (scp_bytes(COUNTS, avm_nv=0), RefusalReason.UNIT_UNKNOWN),
        (scp_bytes(COUNTS, interval_us=0), RefusalReason.DAMAGED),
        (scp_bytes(COUNTS, sections={1: identity(without=[2])}), RefusalReason.NO_PATIENT),
        (scp_bytes(COUNTS, sections={1: identity(without=[25])}), RefusalReason.NO_TIME),
        (scp_bytes(COUNTS, sections={1: identity(date=(2024, 2, 31))}), RefusalReason.NO_TIME),
        (scp_bytes(COUNTS, sections={1: identity(clock=(25, 0, 0))}), RefusalReason.NO_TIME),
        (scp_bytes(COUNTS[:6], leads=LEADS_12[:6]), RefusalReason.LEADS_MISSING),
        (scp_bytes(COUNTS, bimodal=1), RefusalReason.UNSUPPORTED),
        (ranged([(1, 1001)] * 6 + [(1002, 2002)] * 6), RefusalReason.UNSUPPORTED),
        (ranged([(1, 1001)] * 11 + [(500, 2)]), RefusalReason.DAMAGED),
        (ranged([(1, 4_000_000_000)] * 12), RefusalReason.TOO_LARGE),
        (ranged([(1, 5000)] * 12), RefusalReason.DAMAGED),
    ],
)
def test_what_cannot_be_read_is_refused_for_its_reason(content: bytes, reason: RefusalReason) -> None:
    assert refusal_of(content).reason is reason


def test_compressed_samples_that_would_take_too_long_are_refused_at_once() -> None:
    n = 65_000
    coded = struct.pack("<HHBB", 2500, 2000, 2, 0) + struct.pack("<H", n) * 12 + b"\0" * n * 12
    bodies = {1: identity(), 2: struct.pack("<H", 19999), 3: lead_definitions(LEADS_12, 500_000), 6: coded}
    assert refusal_of(record(bodies)).reason is RefusalReason.TOO_LARGE


def test_more_beats_than_any_recording_has_are_refused_at_once() -> None:
    section_4 = struct.pack("<HHH", 600, 150, 60_000) + b"\0" * 14 * 15_000
    assert refusal_of(scp_bytes(COUNTS, sections={4: section_4})).reason is RefusalReason.TOO_LARGE


def test_a_reference_beat_longer_than_any_is_refused_at_once() -> None:
    section_4 = struct.pack("<HHH", 65_000, 150, 1) + b"\0" * 14
    section_5 = samples_of(COUNTS[:, :10], avm_nv=2500, interval_us=1, order=0, is_huffman=False)
    assert (
        refusal_of(scp_bytes(COUNTS, sections={4: section_4, 5: section_5})).reason is RefusalReason.TOO_LARGE
    )


def test_a_text_section_beyond_all_texts_is_refused_at_once() -> None:
    swollen = identity() + b"\x1e\0\0" * 400_000
    assert refusal_of(scp_bytes(COUNTS, sections={1: swollen})).reason is RefusalReason.TOO_LARGE


def test_more_samples_than_may_be_read_are_refused() -> None:
    assert refusal_of(WHOLE, ReadLimits(max_samples=12_000)).reason is RefusalReason.TOO_LARGE
