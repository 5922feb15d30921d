"""Strips and motion as pictures: whole, by themselves, shaded where the answer rests, in a thread."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from alert_cases import RAISED_AT
from care_api import ALERT, ECG_ID, OTHER_ALERT, PATIENT, UNKNOWN_ECG_ID, Hospital, hospital, strip_of
from tiny_bundle import tiny_bundle

from models.bundle import Bundle
from models.cohorts.simulated import Ward
from schemas.errors import PoisonError
from schemas.recorded import Sex
from streams.api.salience import Salience, salient_spans
from streams.featurize import featurize
from streams.stage import Received
from streams.waveform import Strip, decode_strip, encode_strip

PNG = b"\x89PNG\r\n\x1a\n"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def place(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


async def picture(place: Hospital, path: str, **params: str) -> tuple[str, bytes, str]:
    async with place.client("viewer") as client:
        got = await client.get(path, params=params)
        assert got.status_code == 200, got.text
        return got.headers["content-type"], got.content, got.headers["content-security-policy"]


async def test_a_strip_is_drawn_as_svg_and_png_without_the_patients_name(place: Hospital) -> None:
    kind, svg, policy = await picture(place, f"/v1/ecgs/{ECG_ID}/strip.svg")
    assert kind == "image/svg+xml"
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    assert len(root.findall(f"{SVG}path[@class='trace']")) == 13
    assert root.findall(f"{SVG}rect[@class='span']") == []
    assert PATIENT.encode() not in svg
    kind, png, _ = await picture(place, f"/v1/ecgs/{ECG_ID}/strip.png", layout="6x2")
    assert (kind, png[:8]) == ("image/png", PNG)


async def test_what_the_answer_rests_on_is_shaded_when_asked_for(place: Hospital) -> None:
    _, plain, _ = await picture(place, f"/v1/ecgs/{ECG_ID}/strip.png", layout="12x1")
    _, shaded, _ = await picture(place, f"/v1/ecgs/{ECG_ID}/strip.png", salient="1", layout="12x1")
    assert plain != shaded
    _, svg, _ = await picture(place, f"/v1/ecgs/{ECG_ID}/strip.svg", salient="1", layout="12x1")
    assert b"V5: 12.0 %" in svg


async def test_motion_stands_beside_a_normal_one(place: Hospital) -> None:
    for wall in ("septal", "lateral"):
        _, svg, _ = await picture(place, f"/v1/alerts/{ALERT.alert_id}/motion.svg", wall=wall)
        root = ElementTree.fromstring(svg)  # noqa: S314 - our own
        for name in ("curve", "normal"):
            assert len(root.findall(f"{SVG}path[@class='{name}']")) == 1
        assert root.find(f"{SVG}style") is not None
    kind, png, _ = await picture(place, f"/v1/alerts/{ALERT.alert_id}/motion.png")
    assert (kind, png[:8]) == ("image/png", PNG)


async def test_what_is_not_kept_or_was_never_there_is_said(place: Hospital) -> None:
    async with place.client("viewer") as client:
        for path, code in (
            (f"/v1/ecgs/{UNKNOWN_ECG_ID}/strip.svg", "NOT_FOUND"),
            (f"/v1/alerts/{OTHER_ALERT.alert_id}/motion.svg", "NO_MOTION"),
        ):
            got = await client.get(path)
            assert (got.status_code, got.json()["code"]) == (404, code)


def test_pieces_that_carry_half_of_an_answer_are_joined_to_stretches() -> None:
    shares = np.zeros((8, 500), dtype=np.float32)
    shares[0, 10:13] = 0.1
    shares[0, 16] = 0.1  # within 100 ms: the same stretch
    shares[0, 40] = 0.1
    shares[3, 100:500] = 0.00125  # as much again in all, and nowhere in particular
    spans = salient_spans(shares)
    assert [(span.lead, span.start_s, span.end_s) for span in spans[:2]] == [
        ("I", 0.2, 0.34),
        ("I", 0.8, 0.82),
    ]
    assert spans[0].label == "I: 40.0 % of what moves the answer"
    assert salient_spans(np.zeros((8, 500), dtype=np.float32)) == ()


class Loads:
    """Loads the bundle, and counts how often."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> Bundle:
        self.n += 1
        return tiny_bundle()


async def nobody_known(patient_id: str) -> tuple[float | None, Sex]:
    return None, Sex.UNKNOWN


def recorded_strip() -> Strip:
    """Give a waveform as the store keeps one of a simulated patient."""
    ecg = Ward(beds=1, seed=3, since=RAISED_AT, fault_rate=0.0).record(0, RAISED_AT)
    (made,) = featurize([Received(record=ecg, published_at=ecg.acquired_at)])
    assert not isinstance(made, PoisonError)
    encoded = encode_strip(made)
    assert encoded is not None
    strip = decode_strip(ecg.ecg_id, encoded.body)
    assert strip is not None
    return strip


async def test_stretches_are_found_once_and_kept() -> None:
    loads = Loads()
    salience, strip = Salience(loads, "0" * 64, nobody_known), recorded_strip()
    assert loads.n == 0
    first = await salience.spans(strip)
    assert first
    assert all(0.0 <= span.start_s < span.end_s <= 10.0 for span in first)
    assert await salience.spans(strip) is first
    assert loads.n == 1


async def test_what_cannot_be_scored_is_not_explained() -> None:
    flat = replace(strip_of(ALERT), leads_uv=np.zeros((8, 5000), dtype=np.int16))
    assert await Salience(Loads(), "0" * 64, nobody_known).spans(flat) == ()
