"""A real C-STORE client against the listener: who is let in, what is answered, what is bounded."""

import asyncio
import logging
import socket
import struct
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import pydicom
import pytest
from dicom_sender import associated, association, send
from fake_admits import FakeAdmits, is_away, quarantined
from feed_storm import dicom_document
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GeneralECGWaveformStorage,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)
from pynetdicom import _config
from pynetdicom.association import Association
from writers.dicom import Group, dataset, dicom_bytes

from schemas.errors import ConfigurationError
from streams.feeds.admission import Admission, Delivery
from streams.feeds.dicom.bounds import MAX_PDU_BYTES, PeerBounds
from streams.feeds.dicom.listener import STORED, AssociationRules, listen
from streams.feeds.dicom.statuses import MAX_COMMENT_CHARS, OUT_OF_RESOURCES, REFUSED, SUCCESS, status_of
from streams.feeds.dicom.storing import Storing
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import RefusalReason

T = TypeVar("T")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ECG = dicom_document(1, run=1)
MAX_BYTES = 200_000


@pytest.fixture(autouse=True)
def libraries_as_before() -> Iterator[None]:
    """Put back what the listener quietens."""
    levels = {name: logging.getLogger(name).level for name in ("pynetdicom", "pydicom")}
    handlers = _config.LOG_HANDLER_LEVEL
    with warnings.catch_warnings():
        yield
    _config.LOG_HANDLER_LEVEL = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@asynccontextmanager
async def listening(
    admits: FakeAdmits, rules: AssociationRules | None = None, timeout_s: float = 5.0
) -> AsyncIterator[int]:
    options = ReadOptions(site_id="north")
    storing = Storing(admits, asyncio.get_running_loop(), options, MAX_BYTES, lambda: NOW)
    bounds = PeerBounds(MAX_BYTES, timeout_s)
    async with listen(storing, bounds, rules or AssociationRules(), "127.0.0.1", 0) as (_, port):
        yield port


async def beside(call: Callable[..., T], *arguments: Any) -> T:
    """Run a blocking client in a thread beside the loop."""
    return await asyncio.to_thread(call, *arguments)


def stored(port: int, content: bytes = ECG, calling: str = "CART1") -> Dataset:
    with association(port, calling=calling) as made:
        return send(made, content)


async def test_an_accepted_object_is_delivered_as_it_was_sent() -> None:
    admits = FakeAdmits()
    async with listening(admits) as port:
        answer = await beside(stored, port)
    assert answer.Status == SUCCESS
    [delivery] = admits.deliveries
    assert (delivery.origin.feed, delivery.origin.source, delivery.origin.site_id) == (
        "dicom",
        "CART1",
        "north",
    )
    assert delivery.received_at == NOW
    content = delivery.document.content
    assert content[128:132] == b"DICM"
    sent, came = pydicom.dcmread(BytesIO(ECG)), pydicom.dcmread(BytesIO(content))
    assert came == sent
    assert came.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert came.file_meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
async def test_every_transfer_syntax_arrives_as_encoded(syntax: UID) -> None:
    sent = dataset([Group(counts=np.arange(12 * 500).reshape(12, 500))], transfer_syntax=syntax)

    def store(port: int) -> Dataset:
        made = associated(port, sop_class=GeneralECGWaveformStorage, syntaxes=[syntax])
        try:
            return send(made, dicom_bytes(sent))
        finally:
            made.release()

    admits = FakeAdmits()
    async with listening(admits) as port:
        assert (await beside(store, port)).Status == SUCCESS
    came = pydicom.dcmread(BytesIO(admits.contents[0]))
    assert came.file_meta.TransferSyntaxUID == syntax
    assert came.PatientID == sent.PatientID
    assert came.WaveformSequence[0].WaveformData == sent.WaveformSequence[0].WaveformData


async def test_several_objects_of_one_association_are_stored() -> None:
    def store(port: int) -> list[int]:
        with association(port) as made:
            return [send(made, dicom_document(number, run=1)).Status for number in range(5)]

    admits = FakeAdmits()
    async with listening(admits) as port:
        assert await beside(store, port) == [SUCCESS] * 5
    assert len(set(admits.contents)) == 5


async def test_an_echo_is_answered() -> None:
    def echo(port: int) -> Dataset:
        with association(port) as made:
            return made.send_c_echo()

    async with listening(FakeAdmits()) as port:
        assert (await beside(echo, port)).Status == SUCCESS


def refused(port: int, calling: str, called: str) -> tuple[bool, int, int, int]:
    made = associated(port, calling=calling, called=called)
    answer = made.acceptor.primitive
    if made.is_established:
        made.release()
        return False, 0, 0, 0
    return made.is_rejected, answer.result, answer.result_source, answer.diagnostic


@pytest.mark.parametrize(
    ("calling", "called", "expected"),
    [
        ("CART1", "DIASTOLE", (False, 0, 0, 0)),
        ("CART2", "DIASTOLE", (False, 0, 0, 0)),
        ("CART3", "DIASTOLE", (True, 1, 1, 3)),  # permanent, service user, calling AE title not recognised
        ("CART1", "OTHER", (True, 1, 1, 7)),  # permanent, service user, called AE title not recognised
    ],
)
async def test_only_allowed_titles_associate(
    calling: str, called: str, expected: tuple[bool, int, int, int]
) -> None:
    async with listening(FakeAdmits(), AssociationRules(allowed=("CART1", "CART2"))) as port:
        assert await beside(refused, port, calling, called) == expected


async def test_one_association_too_many_is_rejected_for_now() -> None:
    def two(port: int) -> tuple[bool, int, int, int]:
        with association(port):
            return refused(port, "CART2", "DIASTOLE")

    async with listening(FakeAdmits(), AssociationRules(max_associations=1)) as port:
        # transient, service provider (presentation), local limit exceeded
        assert await beside(two, port) == (True, 2, 3, 2)


async def test_other_objects_and_compressed_ones_are_refused_when_negotiating() -> None:
    def accepted(port: int, sop_class: str, syntax: UID) -> list[str]:
        made = associated(port, sop_class=sop_class, syntaxes=[syntax])
        try:
            return [str(context.abstract_syntax) for context in made.accepted_contexts]
        finally:
            made.release()

    async with listening(FakeAdmits()) as port:
        for sop_class in STORED:
            assert sop_class in await beside(accepted, port, sop_class, ImplicitVRLittleEndian)
        assert CTImageStorage not in await beside(accepted, port, CTImageStorage, ImplicitVRLittleEndian)
        assert STORED[0] not in await beside(accepted, port, STORED[0], JPEGBaseline8Bit)


async def test_a_quarantined_object_is_refused_with_its_reason_and_nothing_of_the_patient() -> None:
    def decide(_: Delivery) -> Admission:
        return quarantined(RefusalReason.NO_PATIENT, "the file names no patient; " + "give it " * 20)

    async with listening(FakeAdmits(decide)) as port:
        answer = await beside(stored, port)
    assert answer.Status == REFUSED[RefusalReason.NO_PATIENT]
    assert 0xC000 <= answer.Status <= 0xCFFF
    assert answer.ErrorComment.startswith("NO_PATIENT: the file names no patient")
    assert len(answer.ErrorComment) <= MAX_COMMENT_CHARS


async def test_when_nothing_can_be_promised_the_sender_is_to_send_again() -> None:
    async with listening(FakeAdmits(is_away)) as port:
        assert (await beside(stored, port)).Status == OUT_OF_RESOURCES


async def test_an_unforeseen_error_is_no_refusal() -> None:
    def breaks(_: Delivery) -> Admission:
        raise ZeroDivisionError("P1 Storm^Test")

    async with listening(FakeAdmits(breaks)) as port:
        answer = await beside(stored, port)
    assert answer.Status == OUT_OF_RESOURCES
    assert "Storm" not in answer.ErrorComment


async def test_an_object_that_is_too_large_is_refused_and_the_association_goes_on() -> None:
    huge = pydicom.dcmread(BytesIO(ECG))
    huge.WaveformSequence[0].WaveformData = bytes(8 * MAX_BYTES)
    written = BytesIO()
    huge.save_as(written)

    def store(port: int) -> list[int]:
        with association(port) as made:
            return [send(made, written.getvalue()).Status, send(made, ECG).Status]

    admits = FakeAdmits()
    async with listening(admits) as port:
        assert await beside(store, port) == [REFUSED[RefusalReason.TOO_LARGE], SUCCESS]
    assert len(admits.deliveries) == 1


def ends(peer: socket.socket) -> bool:
    """Whether the listener closes within due time, an abort before it or not."""
    peer.settimeout(5.0)
    try:
        while peer.recv(1024):
            pass
    except ConnectionError:
        return True
    return True


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">BBL", 1, 0, MAX_PDU_BYTES + 1) + bytes(100),
        struct.pack(">BBL", 4, 0, 0xFFFFFFFF) + bytes(100),
        struct.pack(">BBL", 1, 0, 1000) + bytes(100),
        b"",
    ],
    ids=["http", "too large", "4 GiB", "half", "nothing"],
)
async def test_a_peer_that_breaks_the_rules_is_cut_off_and_others_are_not(sent: bytes) -> None:
    def abuse(port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(sent)
            return ends(peer)

    rules = AssociationRules(acse_timeout_s=1.0)
    async with listening(FakeAdmits(), rules, timeout_s=0.5) as port:
        assert await beside(abuse, port)
        assert (await beside(stored, port)).Status == SUCCESS


async def test_stopping_answers_what_is_in_flight_and_refuses_what_comes_later() -> None:
    admits = FakeAdmits(release=asyncio.Event())
    assert admits.release is not None

    def store_twice(made: Association) -> list[int]:
        return [send(made, ECG).Status]

    async with listening(admits) as port:
        made = await beside(associated, port)
        storing = asyncio.create_task(beside(store_twice, made))
        await admits.began.wait()
        asyncio.get_running_loop().call_later(0.1, admits.release.set)
    assert await storing == [SUCCESS]
    assert await beside(lambda: (made.join(5.0), made.is_alive())[1]) is False
    assert made.is_released or made.is_aborted
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_stopping_does_not_wait_for_a_sender_that_never_releases() -> None:
    async with listening(FakeAdmits()) as port:
        silent = await beside(socket.create_connection, ("127.0.0.1", port))
        async with asyncio.timeout(15.0):
            assert (await beside(stored, port)).Status == SUCCESS
    with silent:
        assert await beside(ends, silent)


@pytest.mark.parametrize("title", ["", " ", "x" * 17, "A\\B", "ÄRZTE"])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    with pytest.raises(ConfigurationError, match="AE title"):
        AssociationRules(allowed=(title,))


async def test_an_address_that_is_taken_is_a_wrong_setting() -> None:
    async with listening(FakeAdmits()) as port:
        storing = Storing(FakeAdmits(), asyncio.get_running_loop(), ReadOptions(), MAX_BYTES, lambda: NOW)
        with pytest.raises(ConfigurationError, match="cannot listen"):
            async with listen(storing, PeerBounds(MAX_BYTES, 1.0), AssociationRules(), "127.0.0.1", port):
                pytest.fail("it listened")


def test_every_reason_has_a_number_of_its_own() -> None:
    assert REFUSED.keys() == set(RefusalReason)
    assert len(set(REFUSED.values())) == len(REFUSED)
    for reason, code in REFUSED.items():
        assert status_of(quarantined(reason)).Status == code
