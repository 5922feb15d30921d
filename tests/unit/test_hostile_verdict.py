"""The judge of hostile messages: what ended once is nothing to it, all else is a fault it names."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ops.chaos.hostile_verdict import Found, Letter, Sent, Verdict, blame_growth, blame_sound, judge
from ops.chaos.sampling import Process
from streams.topology import ECG_FEATURIZED, ECG_RECORDED, ECG_RISK

BAD, GOOD = (ECG_RECORDED, 0, 0), (ECG_RECORDED, 0, 1)
SENT = {BAD: Sent(how="garbage", code="DECODE", digest=b"1"), GOOD: Sent(how="sound", code=None, digest=b"2")}
LETTER = Letter(stage="featurize", origin=BAD, code="DECODE", digest=b"1")
INPUT = [Found(at=BAD, code="DECODE"), Found(at=GOOD, ecg_id="e1")]
RESULT = Found(at=(ECG_FEATURIZED, 0, 0), ecg_id="e1")


def judged(letters: Sequence[Letter] = (LETTER,), results: Sequence[Found] = (RESULT,)) -> Verdict:
    found = {ECG_RECORDED: INPUT, ECG_FEATURIZED: list(results), ECG_RISK: []}
    return judge(found, letters, SENT, ["featurize"])


def test_one_dead_letter_and_one_result_hold() -> None:
    verdict = judged()
    assert verdict.holds
    assert (verdict.stages["featurize"].dead, verdict.stages["featurize"].taken) == ({"DECODE": 1}, 1)


@pytest.mark.parametrize(
    ("letters", "results", "fault"),
    [
        ([], [RESULT], "neither dead letter nor result"),
        ([LETTER, LETTER], [RESULT], "several dead letters"),
        ([replace(LETTER, code="EMPTY_RECORD")], [RESULT], "another end than its kind has"),
        ([replace(LETTER, digest=b"?")], [RESULT], "another value than was sent"),
        ([LETTER, replace(LETTER, origin=(ECG_RECORDED, 0, 9))], [RESULT], "dead letter of nothing"),
        ([LETTER], [], "ECGs without a result"),
        ([LETTER], [RESULT, replace(RESULT, at=(ECG_FEATURIZED, 0, 1))], "results of no ECG, or twice"),
        ([LETTER, replace(LETTER, origin=GOOD)], [RESULT], "results of no ECG, or twice"),
    ],
)
def test_whatever_did_not_end_once_is_named(letters: list[Letter], results: list[Found], fault: str) -> None:
    assert any(fault in found for found in judged(letters, results).faults)


SCORED = Found(at=(ECG_RISK, 0, 0), ecg_id="e1", reasons=())


@pytest.mark.parametrize(
    ("assessed", "holds"),
    [([SCORED], True), ([SCORED] * 2, False), ([replace(SCORED, reasons=("X",))], False), ([], False)],
)
def test_sound_ecgs_end_in_one_score_each(assessed: list[Found], holds: bool) -> None:
    verdict = Verdict()
    blame_sound(verdict, ["e1"], assessed)
    assert verdict.holds is holds


@pytest.mark.parametrize(
    ("after", "holds"),
    [
        ({}, True),
        ({"rss_mb": 115.0}, True),
        ({"rss_mb": 115.1}, False),
        ({"handles": 16}, False),
        ({"threads": 9}, False),
    ],
)
def test_what_grows_between_the_halves_is_named(after: dict[str, float], holds: bool) -> None:
    early = Process(name="infer", life="infer/1", age_s=60.0, rss_mb=100.0, handles=10, threads=3)
    verdict = Verdict()
    blame_growth(verdict, {"infer": early}, {"infer": replace(early, **after), "new": early})  # type: ignore[arg-type]
    assert verdict.holds is holds
