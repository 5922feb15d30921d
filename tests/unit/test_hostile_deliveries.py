"""Whatever anybody delivers: a typed refusal, or the ECG that was sent; in bounds, and nothing else opened.

Two thousand mutations of a sound delivery of each format, and what is made to hurt parsers, go through the
reader processes that feeds use.
"""

import asyncio
import gzip
import os
import socket
import struct
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import hostile_corpus as corpus
import numpy as np
import pytest
import pytest_asyncio
from hostile_corpus import GIVEN, SEEDS, Outcome, Seed
from writers import dicom, sierra

from streams.feeds.document import Document
from streams.feeds.limits import DEFAULT_LIMITS
from streams.feeds.readers.assembly import Reading
from streams.feeds.reading import ReadingPool, open_reading
from streams.feeds.recognition import FORMATS, format_of
from streams.feeds.refusal import FeedRefusedError, RefusalReason

pytestmark = pytest.mark.asyncio(loop_scope="module")

N_MUTANTS = 2000
GIGABYTE = 2**30
XML = ("aECG", "Sierra XML", "MUSE XML", "FHIR XML")

every_format = pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS.keys())
every_xml = pytest.mark.parametrize("name", XML)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reading() -> AsyncIterator[ReadingPool]:
    async with open_reading(2) as pool:
        yield pool
        assert pool.peak_bytes <= DEFAULT_LIMITS.memory_bytes


async def refusal_of(reading: ReadingPool, content: bytes, name: str = "") -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refusal:
        await reading.read(Document(content=content, name=name), GIVEN)
    assert refusal.value.reason is not RefusalReason.TOO_SLOW
    return refusal.value


async def ended(reading: ReadingPool, document: Document) -> Reading | FeedRefusedError:
    try:
        return await reading.read(document, GIVEN)
    except FeedRefusedError as refusal:
        return refusal


async def test_every_format_has_a_sound_delivery() -> None:
    assert {format_of(seed.document).function for seed in SEEDS.values()} == {
        known.function
        for known in FORMATS
        if known.module != "paper"  # which holds no ECG that is read
    }


@every_format
async def test_a_mutated_delivery_is_refused_or_the_ecg_that_was_sent(
    seed: Seed, reading: ReadingPool
) -> None:
    sound = corpus.sound_reading(seed).ecg
    n_replaced = reading.n_replaced
    gate = asyncio.Semaphore(4)
    counts: Counter[str] = Counter()
    wrong: list[str] = []

    async def deliver(mutant: corpus.Mutant) -> None:
        async with gate:
            end = await ended(reading, mutant.document)
        if isinstance(end, FeedRefusedError):
            counts[end.reason] += 1
            assert "\n" not in str(end)
            assert corpus.GIVEN.patient_id not in str(end)
            return
        outcome = corpus.outcome(sound, end, mutant, seed)
        counts[outcome] += 1
        if outcome is Outcome.WRONG:
            wrong.append(f"{mutant.how} at {mutant.span} of {len(mutant.before)}")

    await asyncio.gather(*(deliver(mutant) for mutant in corpus.mutants(seed, N_MUTANTS)))
    assert wrong == []
    assert counts.total() == N_MUTANTS
    assert counts[RefusalReason.TOO_SLOW] == 0
    assert reading.n_replaced == n_replaced
    refused = N_MUTANTS - sum(counts[outcome] for outcome in Outcome)
    assert refused > N_MUTANTS // 2
    assert counts[Outcome.SAID_ONCE] <= N_MUTANTS // 50


@pytest.mark.parametrize(
    ("name", "rate", "another"),
    [
        ("Sierra XML", b'samplespersecond="500"', b'samplespersecond="400"'),
        ("Sierra XML", b'durationperchannel="2200"', b'durationperchannel="2000"'),
        ("SCP-ECG", (2000).to_bytes(2, "little"), (2500).to_bytes(2, "little")),
    ],
)
async def test_a_rate_that_a_format_confirms_is_held_to_it(
    name: str, rate: bytes, another: bytes, reading: ReadingPool
) -> None:
    content = SEEDS[name].document.content
    assert rate in content
    refusal = await refusal_of(reading, content.replace(rate, another))
    assert refusal.reason in (RefusalReason.DAMAGED, RefusalReason.TOO_LARGE)


@every_format
async def test_a_delivery_cut_short_anywhere_is_refused_or_lacks_nothing(
    seed: Seed, reading: ReadingPool
) -> None:
    sound = corpus.sound_reading(seed).ecg
    content = seed.document.content
    places = sorted(
        {*range(0, len(content), max(1, len(content) // 60)), *range(len(content) - 30, len(content))}
    )
    assert len(places) >= 60
    for place in places:
        document = Document(
            content=content[:place], name=seed.document.name, companions=seed.document.companions
        )
        end = await ended(reading, document)
        if isinstance(end, Reading):
            np.testing.assert_array_equal(end.ecg.samples, sound.samples)
            assert end.ecg.sample_rate_hz == sound.sample_rate_hz


def with_inside(name: str, harm: bytes) -> bytes:
    """A sound XML delivery with something more at the end of its root."""
    inside, end, tag = SEEDS[name].document.content.rpartition(b"</")
    return inside + harm + end + tag


def declared(name: str, declarations: bytes, reference: bytes = b"&a;") -> bytes:
    """A sound XML delivery with markup declarations of its own, and what refers to them."""
    prolog, _, rest = with_inside(name, reference).partition(b"?>")
    root = rest.lstrip()
    if root.startswith(b"<!DOCTYPE"):
        root = root.partition(b">")[2]
    return prolog + b"?>\n<!DOCTYPE x [" + declarations + b"]>\n" + root


LAUGHS = b'<!ENTITY z "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (letter, b"&%c;" % previous * 10)
    for previous, letter in zip(b"zyxwvutsrq", b"yxwvutsrqa", strict=True)
)
QUADRATIC = b'<!ENTITY a "' + b"x" * 100_000 + b'">'


@every_xml
@pytest.mark.parametrize(
    ("declarations", "reference"),
    [
        (LAUGHS, b"&a;"),
        (QUADRATIC, b"&a;" * 20_000),
        (b'<!ENTITY a "P-1">', b"&a;"),
        (b"<!ENTITY % a \"<!ENTITY b 'P-1'>\"> %a;", b"&b;"),
        (b'<!ATTLIST x y CDATA "z">', b""),
    ],
    ids=["laughs", "quadratic", "harmless", "parameter", "attributes"],
)
async def test_documents_with_declarations_of_their_own_are_refused(
    name: str, declarations: bytes, reference: bytes, reading: ReadingPool
) -> None:
    refusal = await refusal_of(reading, declared(name, declarations, reference))
    # A long declaration hides from recognition what it declares for.
    expected = RefusalReason.UNSAFE if len(declarations) < 4000 else RefusalReason.UNKNOWN_FORMAT
    assert refusal.reason is expected


@every_xml
async def test_nothing_that_a_document_names_is_opened(
    name: str, reading: ReadingPool, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # whoever opens it waits: a reader that did would not answer in time
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for place in (pipe.as_uri(), f"http://127.0.0.1:{server.getsockname()[1]}/x"):
            uri = place.encode()
            refusal = await refusal_of(reading, declared(name, b'<!ENTITY a SYSTEM "%b">' % uri))
            assert refusal.reason is RefusalReason.UNSAFE
            refusal = await refusal_of(reading, declared(name, b'<!ENTITY %% p SYSTEM "%b"> %%p;' % uri, b""))
            assert refusal.reason is RefusalReason.UNSAFE
            outside = declared(name, b"", b"").replace(b"x []", b'x SYSTEM "%b"' % uri)
            included = b'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="%b"/>' % uri
            for harm in (outside, with_inside(name, included)):
                end = await ended(reading, Document(content=harm))
                assert isinstance(end, Reading) or end.reason is not RefusalReason.TOO_SLOW
        with pytest.raises(BlockingIOError):
            server.accept()


@every_xml
@pytest.mark.parametrize("n_levels", [1_000, 1_000_000])
async def test_absurd_nesting_of_xml_is_refused(name: str, n_levels: int, reading: ReadingPool) -> None:
    deep = with_inside(name, b"<a>" * n_levels + b"</a>" * n_levels)
    assert (await refusal_of(reading, deep)).reason is RefusalReason.UNSAFE


@every_xml
async def test_a_flood_of_elements_or_attributes_is_refused(name: str, reading: ReadingPool) -> None:
    for flood in (b"<a/>" * 2_000_000, b"<a " + b"".join(b'b%d="" ' % k for k in range(500_000)) + b"/>"):
        assert (await refusal_of(reading, with_inside(name, flood))).reason is RefusalReason.TOO_LARGE


@pytest.mark.parametrize(
    "harm",
    [
        b"[" * 1_000_000,
        b"[" * 1_000_000 + b"]" * 1_000_000,
        b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
        b"9" * 5_000_000,
        b"[" + b"0," * 8_000_000 + b"0]",
        b'"' + b"\\u0000" * 4_000_000 + b'"',
        b"1e" + b"9" * 1000,
        b"NaN",
    ],
    ids=["open arrays", "arrays", "objects", "digits", "numbers", "escapes", "exponent", "NaN"],
)
@pytest.mark.parametrize(
    "where", [b'{"patient_id": %b, "leads": {}}', b'{"resourceType": "Observation", "x": %b}']
)
async def test_json_made_to_hurt_is_refused(harm: bytes, where: bytes, reading: ReadingPool) -> None:
    await refusal_of(reading, where.replace(b"%b", harm))


def lzw_bomb(n_bytes: int) -> bytes:
    """A chunk of XLI that swells to so many zeros: codes that grow by a byte, then the longest."""
    longest = 1022 - 256 + 1
    codes = np.concatenate([[0], np.arange(256, 1023), np.full(n_bytes // longest, 1022)])
    bits = (codes[:, None] >> np.arange(9, -1, -1)) & 1  # (n_codes, 10)
    packed = np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
    return len(packed).to_bytes(4, "little") + bytes(4) + packed


def deflated_zeros(n_mebibytes: int) -> bytes:
    """A raw deflate stream of zeros: one block again and again, none of which refers to another."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = squeeze.compress(bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return block * n_mebibytes + squeeze.flush()


def zipped_zeros(name: bytes, n_bytes: int, claimed_bytes: int) -> bytes:
    """A zip of one file of zeros that claims a size (APPNOTE 4.3.7, 4.3.12, 4.3.16)."""
    body = deflated_zeros(n_bytes // 2**20)
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, len(body), claimed_bytes, len(name), 0)
    local = b"PK\x03\x04" + common + name + body
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


@pytest.mark.parametrize("name", ["r1.dat", "r1.hea"])
@pytest.mark.parametrize("claimed_bytes", [GIGABYTE, 14_400, 0])
async def test_a_gigabyte_of_zeros_in_a_zip_is_refused(
    name: str, claimed_bytes: int, reading: ReadingPool
) -> None:
    bomb = zipped_zeros(name.encode(), GIGABYTE, claimed_bytes)
    assert len(bomb) < 2 * 2**20
    with ZipFile(whole := BytesIO(bomb), "a") as archive:
        for other, content in {"r1.hea": SEEDS["WFDB"].document.content, "r1.dat": b"\0"}.items():
            if other != name:
                archive.writestr(other, content)
    await refusal_of(reading, whole.getvalue())


async def test_a_gigabyte_of_zeros_in_a_deflated_dicom_is_refused(reading: ReadingPool) -> None:
    head = dicom.deflate_bomb(0).removesuffix(b"\x03\0")  # the empty stream
    refusal = await refusal_of(reading, head + deflated_zeros(1024))
    assert refusal.reason is RefusalReason.TOO_LARGE


async def test_a_gigabyte_of_zeros_in_xli_is_refused(reading: ReadingPool) -> None:
    leads = sierra.with_calibration(corpus.by_lead())
    text = b64encode(lzw_bomb(GIGABYTE)).decode()
    await refusal_of(reading, sierra.sierra_1_04(leads, text=text).encode())


async def test_what_is_squeezed_in_a_way_of_no_format_stays_so(reading: ReadingPool) -> None:
    for bomb in (gzip.compress(bytes(64 * 2**20), 1), zlib.compress(bytes(64 * 2**20), 1)):
        assert (await refusal_of(reading, bomb)).reason is RefusalReason.UNKNOWN_FORMAT


@pytest.mark.parametrize("n_bytes", [0, 1, 3, 131, 132, 4095, 4096])
@pytest.mark.parametrize("byte", [b"\0", b"<", b"{", b"\xff", b" "])
async def test_bytes_of_nothing_are_refused(n_bytes: int, byte: bytes, reading: ReadingPool) -> None:
    await refusal_of(reading, byte * n_bytes)


async def test_a_delivery_at_the_limit_of_bytes_stays_within_the_others(reading: ReadingPool) -> None:
    room = DEFAULT_LIMITS.max_bytes
    for content, name in (
        (SEEDS["aECG"].document.content.ljust(room), ""),
        (SEEDS["JSON"].document.content.ljust(room), ""),
        (SEEDS["DICOM"].document.content.ljust(room, b"\0"), ""),
        (SEEDS["EDF"].document.content.ljust(room, b"\0"), ""),
        (SEEDS["WFDB"].document.content.ljust(room), "r1.hea"),
    ):
        end = await ended(reading, Document(content=content, name=name))
        assert isinstance(end, FeedRefusedError | Reading)
    too_large = await refusal_of(reading, bytes(room + 1))
    assert too_large.reason is RefusalReason.TOO_LARGE
