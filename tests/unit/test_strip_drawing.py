import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from models.cohorts.simulated import Course, SimulatedPatient
from ops.terminal_strip import BRAILLE, PLAIN, Charset, charset_for, draw
from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import EcgRecorded
from streams.feeds.files import read_file
from streams.strip import Span, StripOptions, strip_svg, twelve_leads_mv
from streams.strip_layout import LEFT_MM, MM_PER_MV, MM_PER_S, Layout, page_of

SVG = "{http://www.w3.org/2000/svg}"
AT = datetime(2026, 1, 31, 8, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def ecg() -> EcgRecorded:
    return SimulatedPatient(seed=3, course=Course(start=0.3, end=0.3)).record(AT)


def of_samples(ecg: EcgRecorded, samples: "np.ndarray[tuple[int, int], np.dtype[np.int16]]") -> EcgRecorded:
    return replace(ecg, samples=samples, uv_per_unit=1.0, sample_rate_hz=500.0, lead_names=LEADS_12)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 — our own text


def traces(svg: str) -> list[tuple[str, np.ndarray]]:
    """Each trace's lead and its points, mm, (n, 2)."""
    found = []
    for path in parsed(svg).iter(f"{SVG}path"):
        if path.get("class") == "trace":
            title = path.find(f"{SVG}title")
            assert title is not None
            numbers = np.array([int(each) for each in re.findall(r"-?\d+", path.get("d") or "")])
            found.append((title.text or "", np.cumsum(numbers.reshape(-1, 2), axis=0) / 100.0))
    return found


@pytest.mark.parametrize("layout", Layout)
def test_every_lead_is_drawn_in_its_place(ecg: EcgRecorded, layout: Layout) -> None:
    page = page_of(layout)
    drawn = traces(strip_svg(ecg, StripOptions(layout=layout)))
    assert [lead for lead, _ in drawn] == [place.lead for place in page.places]
    assert set(LEADS_12) == {place.lead for place in page.places}
    for place, (_, points) in zip(page.places, drawn, strict=True):
        assert points[0, 0] == pytest.approx(place.left_mm, abs=0.01)
        right = place.left_mm + (place.end_s - place.start_s) * MM_PER_S
        assert points[-1, 0] == pytest.approx(right, abs=0.06)
        assert (points[:, 0] <= page.width_mm).all()


@pytest.mark.parametrize(("layout", "seconds"), [("3x4", 2.5), ("6x2", 5.0), ("12x1", 10.0)])
def test_leads_beside_each_other_follow_one_another_in_time(layout: str, seconds: float) -> None:
    for place in page_of(Layout(layout)).places:
        is_rhythm = layout == "3x4" and place.row == 3
        assert place.end_s - place.start_s == (10.0 if is_rhythm else seconds)
        assert place.left_mm == LEFT_MM + place.start_s * MM_PER_S


def test_a_millivolt_is_ten_millimetres_and_a_second_twenty_five(ecg: EcgRecorded) -> None:
    samples = np.zeros((12, 5000), dtype=np.int16)
    samples[1, 1000:1100] = 1500  # II, 1.5 mV from 2 s on
    drawn = traces(strip_svg(of_samples(ecg, samples), StripOptions(layout=Layout.ONE_COLUMN)))
    place = page_of(Layout.ONE_COLUMN).places[1]
    lead, points = drawn[1]
    assert lead == "II"
    raised = points[points[:, 1] < place.baseline_mm - 14.9]
    assert raised[0] == pytest.approx([LEFT_MM + 2 * MM_PER_S, place.baseline_mm - 1.5 * MM_PER_MV], abs=0.02)
    assert len(raised) == 100


def test_samples_of_a_real_ecg_are_where_they_were_recorded() -> None:
    ecg = read_file(Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))).ecg
    drawn = traces(strip_svg(ecg, StripOptions(layout=Layout.ONE_COLUMN)))
    for row, (place, (lead, points)) in enumerate(zip(page_of(Layout.ONE_COLUMN).places, drawn, strict=True)):
        mv = ecg.samples[ecg.lead_names.index(lead)] * ecg.uv_per_unit / 1000.0
        expected = place.baseline_mm - (mv - np.median(mv)) * MM_PER_MV
        np.testing.assert_allclose(points[:, 1], expected[::2], atol=0.006, err_msg=str(row))


def test_an_electrode_offset_does_not_push_a_lead_off_the_paper(ecg: EcgRecorded) -> None:
    shifted = (ecg.samples.astype(np.int64) + 3000).astype(np.int16)
    assert traces(strip_svg(replace(ecg, samples=shifted)))[0][1] == pytest.approx(
        traces(strip_svg(ecg))[0][1], abs=0.011
    )


def test_leads_that_follow_from_others_are_drawn_and_missing_ones_said(ecg: EcgRecorded) -> None:
    rows = [ecg.lead_names.index(lead) for lead in LEADS_8]
    eight = replace(ecg, samples=ecg.samples[rows], lead_names=LEADS_8)
    assert len(traces(strip_svg(eight))) == 13
    seven = replace(eight, samples=eight.samples[:-1], lead_names=LEADS_8[:-1])
    assert len(traces(strip_svg(seven))) == 12
    assert strip_svg(seven).count("not recorded") == 1


def test_a_short_recording_is_drawn_as_far_as_it_goes(ecg: EcgRecorded) -> None:
    short = replace(ecg, samples=ecg.samples[:, : int(3.0 * ecg.sample_rate_hz)])
    drawn = traces(strip_svg(short))
    assert [lead for lead, _ in drawn] == ["I", "aVR", "II", "aVL", "III", "aVF", "II"]


def test_a_span_is_shaded_in_each_lead_that_shows_it(ecg: EcgRecorded) -> None:
    span = Span(start_s=2.0, end_s=3.0, label="noise")
    root = parsed(strip_svg(ecg, StripOptions(spans=[span])))
    widths = [
        float(rect.get("width") or 0) for rect in root.iter(f"{SVG}rect") if rect.get("class") == "span"
    ]
    assert sorted(widths) == [12.5] * 6 + [25.0]
    only = parsed(strip_svg(ecg, StripOptions(spans=[replace(span, lead="V1")])))
    assert not [rect for rect in only.iter(f"{SVG}rect") if rect.get("class") == "span"], "V1 begins at 5 s"


def test_the_picture_needs_nothing_from_elsewhere_and_can_be_read_aloud(ecg: EcgRecorded) -> None:
    svg = strip_svg(ecg, StripOptions(spans=[Span(start_s=1.0, end_s=2.0, label="most telling")]))
    root = parsed(svg)
    assert not re.search(r"href|url\(|@import|<script|<image", svg)
    assert root.get("role") == "img"
    by_id = {each.get("id"): each.text for each in root if each.get("id")}
    said = [by_id[each] for each in (root.get("aria-labelledby") or "").split()]
    assert said[0] == "12-lead ECG"
    assert "25 mm a second" in (said[1] or "")
    assert "most telling: 1.00 to 2.00 s" in (said[1] or "")
    assert "prefers-color-scheme:dark" in svg


def test_no_patient_is_in_it_unless_the_heading_says_so(ecg: EcgRecorded) -> None:
    named = replace(ecg, patient_id="MUELLER-1948")
    assert "MUELLER" not in strip_svg(named)
    assert "Patient &lt;MUELLER&gt;" in strip_svg(named, StripOptions(heading=["Patient <MUELLER>"]))


def test_the_same_ecg_gives_the_same_picture(ecg: EcgRecorded) -> None:
    assert strip_svg(ecg) == strip_svg(ecg)


@pytest.mark.parametrize("charset", [BRAILLE, PLAIN], ids=["braille", "plain"])
@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_a_terminal_strip_keeps_within_its_width_and_names_all_leads(
    ecg: EcgRecorded, width: int, charset: Charset
) -> None:
    lines = draw(twelve_leads_mv(ecg), ecg.sample_rate_hz, width, charset)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert set(LEADS_12) <= set(words)
    if charset is PLAIN:
        assert all(line.isascii() for line in lines)
    else:
        assert any("\u2800" < char <= "\u28ff" for line in lines for char in line)


def test_a_terminal_draws_a_step_where_it_is(ecg: EcgRecorded) -> None:
    samples = np.zeros((12, 5000), dtype=np.int16)
    samples[:, 4000:] = 2000  # 2 mV for the last fifth
    lines = draw(twelve_leads_mv(of_samples(ecg, samples)), 500.0, 51, PLAIN)
    first = lines[1:7]
    assert lines[0] == "I"
    assert first[0] == " " * 40 + "|" + "'" * 9
    assert first[-1] == "." * 40 + "|"


def test_braille_is_left_to_terminals_that_can_show_it() -> None:
    assert charset_for("utf-8") is BRAILLE
    for encoding in ("ascii", "latin-1", "cp1252", "no-such-encoding"):
        assert charset_for(encoding) is PLAIN
