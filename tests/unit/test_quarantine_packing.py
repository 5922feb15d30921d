"""A delivery comes out of quarantine as it went in."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.quarantine import MAX_PIECES
from schemas.recorded import Urgency
from streams.feeds.admission import Delivery, Origin
from streams.feeds.document import Document
from streams.feeds.quarantine.packing import (
    PIECE_BYTES,
    KeptContentError,
    id_of,
    packed,
    unpacked,
    zone_named,
    zone_text,
)
from streams.feeds.readers.options import ReadOptions
from streams.feeds.settings import FeedSettings

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
TEXTS = st.text(max_size=40)
ZONES = st.sampled_from(
    [UTC, ZoneInfo("Europe/Rome"), ZoneInfo("Asia/Kolkata"), timezone(timedelta(hours=-3, minutes=-30))]
)
#: Out of UTC, so that each exists: a local time that a change to summer time leaps over equals nothing.
INSTANTS = st.datetimes(datetime(1901, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MOMENTS = st.none() | st.builds(datetime.astimezone, INSTANTS, ZONES)
OPTIONS = st.builds(
    ReadOptions,
    timezone=ZONES,
    acquired_at=MOMENTS,
    patient_id=TEXTS,
    expected_patient_id=TEXTS,
    site_id=TEXTS,
    ward_id=TEXTS,
    urgency=st.sampled_from(Urgency),
    corrected_patient_id=TEXTS,
    corrected_acquired_at=MOMENTS,
)
DOCUMENTS = st.builds(
    Document,
    content=st.binary(max_size=3000),
    name=TEXTS,
    companions=st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=500), max_size=4),
)
DELIVERIES = st.builds(
    Delivery,
    document=DOCUMENTS,
    origin=st.builds(Origin, feed=TEXTS, source=TEXTS, site_id=TEXTS),
    received_at=st.datetimes(timezones=st.just(UTC)),
    options=OPTIONS,
)


def delivery(content: bytes = b"x", **options: str) -> Delivery:
    return Delivery(
        document=Document(content=content, name="a.dcm"),
        origin=Origin(feed="http", source="cart"),
        received_at=NOW,
        options=ReadOptions(**options),  # type: ignore[arg-type]
    )


@given(DELIVERIES)
def test_a_delivery_comes_back_as_it_was_under_the_same_id(kept: Delivery) -> None:
    back = unpacked(packed(kept))
    assert back.document.content == kept.document.content
    assert back.document.name == kept.document.name
    assert dict(back.document.companions) == dict(kept.document.companions)
    assert (back.origin, back.received_at) == (kept.origin, kept.received_at)
    for field in fields(ReadOptions):
        assert getattr(back.options, field.name) == getattr(kept.options, field.name), field.name
    assert id_of(back) == id_of(kept)


@given(ZONES)
def test_a_zone_comes_back_with_its_rules(zone: timezone) -> None:
    summer = datetime(2026, 7, 1)  # noqa: DTZ001
    assert zone_named(zone_text(zone)).utcoffset(summer) == zone.utcoffset(summer)


@settings(max_examples=5, deadline=None)
@given(st.integers(PIECE_BYTES - 3, PIECE_BYTES * 2 + 3))
def test_pieces_fit_and_join_at_their_edges(n_bytes: int) -> None:
    kept = delivery(b"\x00" * n_bytes)
    pieces = packed(kept)
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert unpacked(pieces).document.content == kept.document.content


def test_what_is_said_of_a_document_may_be_longer_than_a_piece() -> None:
    kept = delivery(patient_id="x" * (PIECE_BYTES * 2))
    pieces = packed(kept)
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert unpacked(pieces).options == kept.options


def test_the_largest_delivery_a_gateway_may_be_set_to_take_fits() -> None:
    (most,) = (limit.le for limit in FeedSettings.model_fields["max_bytes"].metadata if hasattr(limit, "le"))
    assert -(-most // PIECE_BYTES) + 3 <= MAX_PIECES


def test_pieces_of_the_document_do_not_depend_on_who_brought_it_and_when() -> None:
    one = delivery(b"x" * PIECE_BYTES)
    another = replace(one, received_at=NOW + timedelta(days=1), origin=Origin(feed="http", source="other"))
    assert packed(one)[1:] == packed(another)[1:]


def test_only_the_documents_suffix_is_looked_at_so_an_endless_name_is_cut() -> None:
    kept = replace(delivery(), document=Document(content=b"x", name="n" * PIECE_BYTES + ".dcm"))
    assert unpacked(packed(kept)).document.suffix == ".dcm"


def test_the_same_document_for_another_patient_is_another_delivery() -> None:
    ids = {id_of(delivery()), id_of(delivery(patient_id="a")), id_of(delivery(expected_patient_id="a"))}
    assert len(ids) == 3
    assert id_of(delivery()) == id_of(replace(delivery(), received_at=NOW + timedelta(days=1)))


@pytest.mark.parametrize("spoil", [lambda p: p[:-1], lambda p: p[1:], lambda p: (), lambda p: (p[0], b"[]")])
def test_pieces_that_are_not_whole_are_refused(spoil: object) -> None:
    pieces = packed(delivery(b"x" * PIECE_BYTES))
    with pytest.raises(KeptContentError, match="not whole"):
        unpacked(spoil(pieces))  # type: ignore[operator]


def test_what_a_newer_version_kept_is_refused_with_what_to_do() -> None:
    first, *others = packed(delivery())
    with pytest.raises(KeptContentError, match="newer Diastole"):
        unpacked([first.replace(b'"version":1', b'"version":2'), *others])
