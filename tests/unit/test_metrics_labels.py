"""Labels of metrics are few and hold no patient, whatever stands in the records they are counted by."""

from prometheus_client import generate_latest

from models.quality import Reason
from streams.metrics import OTHER, StageMetrics


def reasons_counted(*counted: str) -> set[str]:
    metrics = StageMetrics("history")
    for reason in counted:
        metrics.count_not_scored((reason,))
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {
        line.split('reason="')[1].split('"')[0]
        for line in lines
        if line.startswith("diastole_not_scored_total")
    }


def test_every_reason_of_ours_is_counted_under_its_code() -> None:
    ours = [*map(str, Reason), "AGE_UNDER_18", "QUALITY"]
    assert reasons_counted(*(f"{reason}:V3" for reason in ours)) == set(ours)


def test_free_text_is_counted_as_other() -> None:
    assert reasons_counted("Jane Doe", "", "x" * 200, "A" * 41, 'PACED"} 1') == {OTHER}


def test_codes_without_end_are_counted_as_other() -> None:
    counted = reasons_counted("PACED", *(f"MRN_{number}" for number in range(1000)))
    assert len(counted) <= 51
    assert {"PACED", OTHER} <= counted
