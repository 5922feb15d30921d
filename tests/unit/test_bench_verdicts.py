import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from assessments import assessed

from ops.bench.load import draw_load, poisson_arrivals
from ops.bench.measure import RunResult
from ops.bench.report import verdict_of
from ops.bench.tally import Spread, Tally
from ops.bench.trend import LagTrend, lag_trend
from ops.topic_reader import Seen
from schemas.featurized import StageTiming
from streams.message import Message
from streams.topology import ECG_RISK

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def tally_with(latencies_ms: list[float], counted_from: datetime = T0) -> Tally:
    tally = Tally(counted_from=counted_from)
    for number, latency_ms in enumerate(latencies_ms):
        name = str(uuid.UUID(int=number))
        tally.due[name] = T0 + timedelta(seconds=number)
        tally.done[name] = tally.due[name] + timedelta(milliseconds=latency_ms)
    return tally


def result(*, growth_s: float, sustained: bool, lost: int = 0) -> RunResult:
    spread = Spread.of([1.0])
    return RunResult(
        broker="embedded",
        rate_per_s=50.0,
        ecgs=100,
        done_per_s=41.0,
        open_at_end=20,
        lost=lost,
        dead=0,
        trend=LagTrend(slope=growth_s / 20.0, rising=1.0, growth_s=growth_s),
        sustained=sustained,
        to_risk=spread,
        to_alert=spread,
        risk_to_alert=spread,
    )


def queue_lags_s(rate_per_s: float, capacity_per_s: float, seed: int) -> tuple[list[float], list[float]]:
    """Simulate one server that takes Poisson arrivals in turn, for 20 s."""
    at_s = list(poisson_arrivals(rate_per_s, 20.0, seed))
    free_s, lags_s = 0.0, []
    for at in at_s:
        free_s = max(free_s, at) + 1.0 / capacity_per_s
        lags_s.append(free_s - at)
    return at_s, lags_s


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_what_a_pipeline_has_capacity_for_is_sustained(rate: float, seed: int) -> None:
    assert lag_trend(*queue_lags_s(rate, rate * 1.25, seed)).keeps_up


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_what_a_pipeline_has_no_capacity_for_is_not(rate: float, seed: int) -> None:
    trend = lag_trend(*queue_lags_s(rate, rate * 0.8, seed))
    assert not trend.keeps_up
    assert trend.slope == pytest.approx(0.25, abs=0.15)  # a second of lag in four, ± what chance does


@pytest.mark.parametrize("stalled_at_s", [1.0, 10.0, 17.5])
def test_a_stall_that_is_caught_up_with_is_no_trend(stalled_at_s: float) -> None:
    at_s = list(poisson_arrivals(20.0, 20.0, seed=5))
    lags_s = [0.1 + max(0.0, 2.0 - (at - stalled_at_s)) * (at >= stalled_at_s) for at in at_s]
    assert lag_trend(at_s, lags_s).keeps_up


def test_a_steady_latency_is_no_trend_however_long_it_is() -> None:
    assert tally_with([1000.0] * 30).lag_trend().growth_s == 0.0


def test_a_run_too_short_to_judge_has_no_trend() -> None:
    assert tally_with([]).lag_trend() == tally_with([5.0]).lag_trend()
    assert tally_with([]).lag_trend().keeps_up


def test_what_is_due_before_counting_begins_is_in_no_number() -> None:
    tally = tally_with([9000.0, 9000.0, 10.0, 10.0], counted_from=T0 + timedelta(seconds=2))
    assert (tally.counted, tally.risk_ms, tally.open_count) == (2, [10.0, 10.0], 0)
    assert tally.done_per_s == pytest.approx(2 / 1.01)


def test_what_was_not_sustained_or_lost_is_said() -> None:
    assert verdict_of(result(growth_s=0.0, sustained=True)) is None
    assert "NOT SUSTAINED. The lag grew steadily, by 2.0 s" in str(
        verdict_of(result(growth_s=2.0, sustained=False))
    )
    assert "3 of 100 ECGs never ended" in str(verdict_of(result(growth_s=0.0, sustained=False, lost=3)))


def test_arrivals_keep_the_rate_and_are_not_regular() -> None:
    arrivals = list(poisson_arrivals(50.0, 100.0, seed=1))
    assert len(arrivals) == pytest.approx(5000, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert min(gaps) >= 0.0
    # 1/e of the gaps of an exponential distribution are above their mean; of regular arrivals, none or half.
    assert sum(gap > 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.03)


def test_the_load_is_distinct_and_repeatable() -> None:
    load = draw_load(T0)
    ecgs = [load.ecg(n) for n in range(60)]
    assert len({ecg.ecg_id for ecg in ecgs}) == 60
    assert len({ecg.patient_id for ecg in ecgs}) == 15
    assert load.ecg(7).ecg_id == draw_load(T0).ecg(7).ecg_id


def test_the_means_of_the_parts_add_up_to_the_mean_of_the_way() -> None:
    tally = Tally(counted_from=T0)
    for number in range(3):
        timings = tuple(
            StageTiming(stage=stage, queue_ms=1.0 + number, work_ms=5.0, batch_size=2)
            for stage in ("featurize", "infer")
        )
        risk = replace(assessed(number, 0.2), timings=timings)
        at = T0 + timedelta(milliseconds=40 + 7 * number)
        tally.due[risk.ecg_id] = T0
        message = Message(
            topic=ECG_RISK, partition=0, offset=number, key=b"", value=b"", headers=(), timestamp=at
        )
        tally.enter([Seen(message=message, record=risk)])
    parts = [Spread.of(observed) for observed in tally.parts_ms.values()]
    assert [part.count for part in parts] == [3] * 5
    assert sum(part.mean_ms or 0.0 for part in parts) == pytest.approx(47.0)
    assert Spread.of(tally.risk_ms).mean_ms == pytest.approx(47.0)
