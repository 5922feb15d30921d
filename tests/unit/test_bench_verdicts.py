import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ops.bench.load import draw_load, poisson_arrivals
from ops.bench.measure import RunResult
from ops.bench.report import verdict_of
from ops.bench.tally import Spread, Tally

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def tally_with(latencies_ms: list[float]) -> Tally:
    tally = Tally()
    for number, latency_ms in enumerate(latencies_ms):
        name = str(uuid.UUID(int=number))
        tally.due[name] = T0 + timedelta(seconds=number)
        tally.done[name] = tally.due[name] + timedelta(milliseconds=latency_ms)
    return tally


def result(*, growth_ms: float, sustained: bool, lost: int = 0) -> RunResult:
    spread = Spread.of([1.0])
    return RunResult(
        broker="embedded",
        rate_per_s=50.0,
        ecgs=100,
        done_per_s=41.0,
        open_at_end=20,
        lost=lost,
        dead=0,
        growth_ms=growth_ms,
        sustained=sustained,
        to_risk=spread,
        to_alert=spread,
    )


def test_a_steady_latency_does_not_grow_however_long_it_is() -> None:
    assert tally_with([1000.0] * 30).first_third_and_growth_ms() == (1000.0, 0.0)


def test_a_latency_that_rises_through_the_run_grows() -> None:
    first_ms, growth_ms = tally_with([10.0 * n for n in range(30)]).first_third_and_growth_ms()
    assert (first_ms, growth_ms) == (40.0, 200.0)


def test_what_was_not_sustained_or_lost_is_said() -> None:
    assert verdict_of(result(growth_ms=0.0, sustained=True)) is None
    assert "NOT SUSTAINED. The lag grew by 2.0 s" in str(
        verdict_of(result(growth_ms=2000.0, sustained=False))
    )
    assert "3 of 100 ECGs never ended" in str(verdict_of(result(growth_ms=0.0, sustained=False, lost=3)))


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
