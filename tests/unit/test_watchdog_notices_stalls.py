import pytest
from structlog.testing import capture_logs

from schemas.errors import RetriableError
from streams.metrics import StageMetrics
from streams.progress import Progress
from streams.watchdog import StalledError, Watchdog
from streams.worker import FAILED, exit_code_of


class Scene:
    """A watchdog whose clock, lag and trouble are set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.lag = 0
        self.lag_holds_records = True
        self.held_up = False
        self.kafka_answers = True
        self.progress = Progress(lambda: self.now_s)
        self.watchdog = Watchdog(
            stall_s=60.0,
            progress=self.progress,
            metrics=StageMetrics("toy"),
            lag=self._lag,
            has_records=self._has_records,
            is_held_up=lambda: self.held_up,
        )

    async def _lag(self) -> int:
        if not self.kafka_answers:
            raise RetriableError("no Kafka")
        return self.lag

    async def _has_records(self) -> bool:
        return self.lag_holds_records

    async def after(self, seconds: float) -> None:
        self.now_s += seconds
        await self.watchdog.look()


async def test_an_idle_worker_is_well_however_long() -> None:
    scene = Scene()
    await scene.after(10_000)


async def test_lag_without_progress_is_a_stall_that_says_what_waits() -> None:
    scene = Scene()
    scene.lag = 7
    await scene.after(59)
    with pytest.raises(StalledError, match="7 messages waiting, none done for 60 s"):
        await scene.after(1)


def test_a_stall_ends_the_worker_as_failed_with_one_line() -> None:
    async def serve() -> None:
        scene = Scene()
        scene.lag = 7
        await scene.after(60)

    with capture_logs() as logs:
        assert exit_code_of("toy", serve()) == FAILED
    assert [(line["event"], line["code"], line["log_level"]) for line in logs] == [
        ("failed", "STALLED", "error")
    ]


async def test_progress_begins_the_count_anew() -> None:
    scene = Scene()
    scene.lag = 7
    await scene.after(59)
    scene.progress.admitted()
    scene.progress.acknowledged()
    await scene.after(59)
    with pytest.raises(StalledError):
        await scene.after(1)


async def test_messages_in_flight_that_do_not_move_are_a_stall_without_any_lag() -> None:
    scene = Scene()
    scene.progress.admitted()
    assert not scene.watchdog.is_stalled()
    scene.now_s = 60
    assert scene.watchdog.is_stalled()
    with pytest.raises(StalledError):
        await scene.watchdog.look()


async def test_work_that_arrives_after_a_long_idle_time_gets_its_full_time() -> None:
    scene = Scene()
    await scene.after(10_000)
    scene.now_s += 30
    scene.progress.admitted()
    await scene.after(59)


@pytest.mark.parametrize("trouble", ["held up by a named error", "Kafka does not answer"])
async def test_trouble_that_a_restart_would_not_end_is_no_stall(trouble: str) -> None:
    scene = Scene()
    scene.lag = 7
    scene.held_up = trouble.startswith("held")
    scene.kafka_answers = not trouble.startswith("Kafka")
    await scene.after(10_000)
    scene.held_up, scene.kafka_answers = False, True
    await scene.after(59)
    with pytest.raises(StalledError):
        await scene.after(1)


async def test_a_lag_of_nothing_but_a_transactions_marker_is_no_stall() -> None:
    scene = Scene()
    scene.lag, scene.lag_holds_records = 1, False
    await scene.after(10_000)
    await scene.after(10_000)
    scene.lag_holds_records = True
    await scene.after(59)
    with pytest.raises(StalledError):
        await scene.after(1)


async def test_messages_in_flight_are_a_stall_whatever_else_kafka_holds() -> None:
    scene = Scene()
    scene.progress.admitted()
    scene.lag_holds_records = False
    with pytest.raises(StalledError):
        await scene.after(60)
