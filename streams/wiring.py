"""Puts the runner of one stage together from the ports it is given."""

from concurrent.futures import Executor
from typing import Any

from streams.batcher import BatchLimits
from streams.computation import Encoding, build_computation
from streams.intake import Intake
from streams.message import StateStore, Transport
from streams.metrics import StageMetrics
from streams.outcome import Pending, RecordCodec
from streams.progress import Progress
from streams.retry import Retrying
from streams.runner import Parts, StageRunner
from streams.settings import Settings
from streams.settlement import Settlement
from streams.stage import Stage, UtcClock, utc_now
from streams.tally import Tally
from streams.topology import Route
from streams.waiting_room import WaitingRoom


def batch_limits(settings: Settings) -> BatchLimits:
    """Take the batcher's limits out of the settings."""
    return BatchLimits(
        max_items=settings.batch_max_items,
        max_bytes=settings.batch_max_bytes,
        max_delay_s=settings.max_delay_ms / 1000,
        room_items=settings.queue_max_items,
        room_bytes=settings.queue_max_bytes,
    )


def build_runner(
    stage: Stage[Any],
    route: Route,
    *,
    codec: RecordCodec,
    transport: Transport,
    executor: Executor,
    settings: Settings,
    metrics: StageMetrics,
    progress: Progress,
    state: StateStore | None = None,
    now: UtcClock = utc_now,
) -> StageRunner:
    """Build a runner; call it within the event loop that will run it.

    Parameters
    ----------
    executor : Executor
        Of one thread: the one that owns the device.
    state : StateStore or None
        Needed by a stage that decides with a memory.
    """

    def retrying() -> Retrying:
        return Retrying(stage.name, settings.retry_first_s, settings.retry_most_s, metrics)

    work_retrying, settle_retrying = retrying(), retrying()
    tally = Tally(stage.name, metrics, settings.batch_max_items)
    settlement = Settlement(
        stage=stage,
        dead_letters=route.dead_letters,
        transport=transport,
        state=state,
        retrying=settle_retrying,
        tally=tally,
        progress=progress,
    )
    room: WaitingRoom[Pending] = WaitingRoom(batch_limits(settings), progress.clock_s)
    encoding = Encoding(stage=stage.name, topic=route.produces, codec=codec, now=now)
    return StageRunner(
        Parts(
            intake=Intake(
                stage,
                codec,
                settings.max_record_bytes,
                retrying(),
                aside=settings.registry_url is not None,
            ),
            room=room,
            computation=build_computation(stage, encoding, state),
            transport=transport,
            executor=executor,
            tally=tally,
            settlement=settlement,
            progress=progress,
            work_retrying=work_retrying,
            settle_retrying=settle_retrying,
            state=state,
        )
    )
