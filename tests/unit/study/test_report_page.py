import re
import xml.etree.ElementTree as ET  # reads what we wrote ourselves
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scored_cohorts import outcome_cohort, scored_cohort, study_inputs

from models.study.page import Table, heading, table
from models.study.report import report_html, write_report
from models.study.study import StudyInputs, StudyResult, run_study

INPUTS = study_inputs(0.1)
NOTHING = StudyInputs(bundle_version="b", bundle_sha256="0", trained_on="nothing")


class Page(HTMLParser):
    """What the tests ask of a page; fails where tags do not close."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self._open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if any(re.fullmatch("h[1-6]", tag) for tag in self._open):
            self.headings[-1] += data
        if "body" in self._open and data.strip():
            self.text.append(data.strip())


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return run_study(INPUTS)


@pytest.fixture(scope="module")
def html(result: StudyResult) -> str:
    return report_html(INPUTS, result)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_first_words_say_that_simulated_data_say_nothing_of_patients(page: Page) -> None:
    assert page.text[0] == "Simulated data say nothing of patients."
    assert "nothing in it replaces echocardiography" in page.text[1]
    assert "smaller than published" in page.text[1]


def test_every_heading_says_what_its_data_were(page: Page) -> None:
    assert len(page.headings) > 20
    for each in page.headings:
        assert re.search(r": simulated, [\d\u202f]+ patients", each), each


def test_heading_that_says_nothing_of_its_data_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="says nothing of its data"):
        heading(2, "Discrimination", [])


def test_real_data_are_called_real_and_mixed_ones_by_name() -> None:
    real = replace(scored_cohort("development", 200), is_simulated=False)
    inputs = replace(NOTHING, development=real)
    page = Page(report_html(inputs, run_study(inputs)))
    assert page.text[0] == "Research evaluation on real data."
    assert all(": real, 200 patients" in each for each in page.headings)
    mixed = replace(inputs, outcomes=outcome_cohort(500))
    page = Page(report_html(mixed, run_study(mixed)))
    assert page.text[0] == "Simulated data say nothing of patients."
    assert "Simulated here: CODE-like" in page.text[1]


def test_page_needs_nothing_else_and_runs_nothing(html: str, page: Page) -> None:
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "image", "foreignobject"}
    assert not [each for each in page.attributes if each[1].startswith("on")]
    links = {value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "action")}
    assert {link[0] for link in links} == {"#"}
    assert not re.search(r"@import|url\((?!#)", html)
    addresses = set(re.findall(r"https?://[^\s\"'<]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not fetched


def test_every_link_and_reference_leads_somewhere_and_no_id_is_twice(html: str, page: Page) -> None:
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for _, name, value in page.attributes if name in ("href", "xlink:href")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", html))
    wanted |= {
        each for _, name, value in page.attributes if name == "aria-labelledby" for each in value.split()
    }
    assert wanted <= set(ids)


def test_every_figure_is_well_formed_and_read_aloud_with_its_data(html: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(figures) == 9
    for svg in figures:
        root = ET.fromstring(svg)  # noqa: S314
        names = {each.tag.rpartition("}")[2]: each.text or "" for each in root[:2]}
        assert set(names) == {"title", "desc"}
        assert "simulated" in names["desc"] or names["title"].startswith("Reclassification")
        assert root.get("role") == "img"


def test_figures_take_their_colours_from_the_page_in_light_dark_and_print(html: str) -> None:
    figures = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    used = set(re.findall(r"var\((--[a-z]+)\)", html))
    assert {"--ink", "--motion", "--foundation", "--ensemble", "--high", "--low"} <= used
    assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", figures)
    assert "#000000" not in figures
    style = html[html.index("<style>") : html.index("</style>")]
    for name in used - {"--sans"}:
        assert len(re.findall(rf"{name}:", style)) == 3, name
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_the_same_result_gives_the_same_bytes(result: StudyResult, html: str, tmp_path: Path) -> None:
    paths = write_report(INPUTS, result, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["study.html", "study.json"]
    assert paths[0].read_text(encoding="utf-8") == html
    assert not re.search(r"20\d\d-\d\d-\d\dT|Matplotlib v", html)


def test_missed_marks_are_said_in_words(html: str, page: Page, result: StudyResult) -> None:
    assert "✗ MISSED" in page.text
    assert "✓ met" in page.text
    assert any(each.startswith("marks met; missed: ") for each in page.text)


def test_published_figures_stand_beside_ours_with_their_sources(page: Page) -> None:
    words = " ".join(page.text)
    assert "text of third parties" in words
    assert "medRxiv 10.64898/2026.06.17.26355897" in words
    assert any(re.fullmatch(r"8\.5\u202f%", each) for each in page.text)


def test_what_comes_from_outside_is_escaped() -> None:
    nasty = "<script>alert(1)</script>&"
    cohort = replace(
        scored_cohort("development", 200), what=nasty, places={"centre": np.array([nasty, "b"] * 100)}
    )
    inputs = replace(NOTHING, development=replace(cohort, name=nasty), trained_on=nasty)
    page = Page(report_html(inputs, run_study(inputs)))
    assert "script" not in page.tags


@pytest.mark.parametrize(
    "part", ["development", "external", "diseases", "outcomes", "motion"], ids=lambda part: f"only {part}"
)
def test_report_of_one_part_alone(part: str, result: StudyResult) -> None:
    empty = replace(NOTHING, **{part: getattr(INPUTS, part)})
    judged = replace(run_study(NOTHING), **{part: getattr(result, part)})
    page = Page(report_html(empty, judged))
    assert len(page.headings) >= 4


def test_report_without_covariates_places_and_measurements() -> None:
    bare = replace(scored_cohort("development", 200), covariates={}, places={}, measurements={})
    inputs = replace(NOTHING, development=bare)
    page = Page(report_html(inputs, run_study(inputs)))
    assert not any("measurement give the label away" in each for each in page.headings)


def test_report_of_an_empty_risk_group_says_so() -> None:
    inputs = replace(NOTHING, outcomes=replace(outcome_cohort(100), is_high=np.zeros(100, dtype=bool)))
    assert "One of the two risk groups is empty" in report_html(inputs, run_study(inputs))


def test_report_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="says nothing of its data"):
        report_html(NOTHING, run_study(NOTHING))


def test_table_scrolls_by_keyboard_and_names_rows_and_columns() -> None:
    text = table(Table(caption="c < d", columns=("a", "b"), rows=[("over all",), ("x", "met")]))
    assert 'tabindex="0"' in text
    assert "c &lt; d" in text
    assert '<th scope="row">x</th>' in text
    assert "✓ met" in text
