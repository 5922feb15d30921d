"""XML of feeds: bounded while it is parsed, nothing expanded, nothing fetched, encodings as they come."""

import time
import tracemalloc
from collections.abc import Callable

import pytest

from streams.feeds.limits import DEFAULT_LIMITS, ReadLimits
from streams.feeds.readers.xml import attribute_at, parse_xml, text_at
from streams.feeds.refusal import FeedRefusedError, RefusalReason

MIB = 2**20


def refusal_of(content: bytes, limits: ReadLimits = DEFAULT_LIMITS) -> FeedRefusedError:
    with pytest.raises(FeedRefusedError) as refused:
        parse_xml(content, limits)
    return refused.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_text_is_read_in_every_encoding_that_exports_are_written_in(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><Root Xy="ä">ö</Root>'
    root = parse_xml(text.encode(encoding), DEFAULT_LIMITS)
    assert (root.tag, text_at(root), attribute_at(root, ".", "xy")) == ("root", "ö", "ä")


@pytest.mark.parametrize(
    ("said", "written"), [("utf-8", "cp1252"), ("utf-16", "utf-8"), ("us-ascii", "utf-8")]
)
def test_text_of_another_encoding_than_it_says_is_read_as_what_it_is(said: str, written: str) -> None:
    text = f'<?xml version="1.0" encoding="{said}"?><root>Müller</root>'
    assert text_at(parse_xml(text.encode(written), DEFAULT_LIMITS)) == "Müller"


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">',
        '<!DOCTYPE RestingECG PUBLIC "-//GE//MUSE" "http://127.0.0.1:9/restecg.dtd">',
        '<!DOCTYPE RestingECG SYSTEM "/dev/zero">',
    ],
)
def test_a_document_type_of_elsewhere_is_passed_over(doctype: str) -> None:
    assert parse_xml(f"{doctype}<RestingECG/>".encode(), DEFAULT_LIMITS).tag == "restingecg"


def test_names_come_without_namespace_and_in_lower_case() -> None:
    content = b'<h:Root xmlns:h="urn:x" xmlns:i="urn:y"><h:A i:Type="T"/></h:Root>'
    root = parse_xml(content, DEFAULT_LIMITS)
    assert attribute_at(root, "a", "type") == "T"


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    "own",
    [
        f'<!ENTITY l0 "lol">{LAUGHS}',
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY x SYSTEM "http://127.0.0.1:9/">',
        '<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;',
        '<!ATTLIST a swollen CDATA "' + "x" * 1000 + '">',
        "<!ELEMENT a ANY>",
    ],
)
def test_markup_that_a_document_declares_itself_is_refused(own: str) -> None:
    content = f"<!DOCTYPE a [{own}]><a>&l9;&x;</a>".encode()
    assert refusal_of(content).reason is RefusalReason.UNSAFE


def test_an_entity_declared_elsewhere_is_damage_and_not_fetched() -> None:
    content = b'<!DOCTYPE a SYSTEM "a.dtd"><a>&x;</a>'
    assert refusal_of(content).reason is RefusalReason.DAMAGED


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"<a>" * (10 * MIB), RefusalReason.UNSAFE),
        (lambda: b"<a>" + b"<b/>" * (7 * MIB) + b"</a>", RefusalReason.TOO_LARGE),
        (lambda: b"<a " + b" ".join(b'a%d=""' % i for i in range(10**6)) + b"/>", RefusalReason.TOO_LARGE),
        (lambda: b"<a>" + bytes(30 * MIB), RefusalReason.DAMAGED),
    ],
)
def test_floods_are_refused_quickly_and_within_memory(
    make: Callable[[], bytes], reason: RefusalReason
) -> None:
    content = make()
    tracemalloc.start()
    try:
        started = time.monotonic()
        found = refusal_of(content).reason
        took_s = time.monotonic() - started
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found is reason
    # Tracing alone slows parsing by several times.
    assert took_s < 10.0
    assert peak < 200 * MIB


def test_bounds_are_settings() -> None:
    content = b"<a><b><c/></b><b/></a>"
    assert parse_xml(content, ReadLimits(max_depth=3, max_elements=4)).tag == "a"
    assert refusal_of(content, ReadLimits(max_depth=2)).reason is RefusalReason.UNSAFE
    assert refusal_of(content, ReadLimits(max_elements=3)).reason is RefusalReason.TOO_LARGE


@pytest.mark.parametrize(
    "content", [b"", b"<a>", b"<a></b>", b"<a>\0</a>", b"<a/><b/>", b"\xff\xfe<", b"<a b=c/>"]
)
def test_what_is_not_well_formed_is_damaged(content: bytes) -> None:
    assert refusal_of(content).reason is RefusalReason.DAMAGED
