"""Running stages as processes: one stage in this one, several under a small supervisor."""

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from typing import Final

import structlog
from threadpoolctl import threadpool_limits

from schemas.errors import ConfigurationError, DiastoleError
from streams.assembly import build_codec, build_stage
from streams.ending import Ending, end_at_once
from streams.logs import configure_logs
from streams.service import StageService
from streams.settings import Settings
from streams.supervisor import supervise
from streams.tally import where_raised
from streams.topology import LINK_ROUTE, ROUTES, SILENT_ROUTE, WAVEFORM_ROUTE, route_of

log = structlog.get_logger()

#: What watches the stages, beside them.
WATCH: Final = "watch"

_LOOPBACK: Final = "127.0.0.1"
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  compared with, not listened on

#: Exit codes: a supervisor restarts after FAILED, not after MISCONFIGURED.
STOPPED: Final = 0
FAILED: Final = 1
MISCONFIGURED: Final = 2


def run_worker(stages: Sequence[str], settings: Settings) -> int:
    """Run stages until SIGTERM or SIGINT; returns the exit code.

    Several stages run as one process each and are restarted when they fail: two stages in one interpreter
    would share its lock, and a stage that dies must not take the others along. With a fixed
    ``metrics_port`` the first stage answers there and each further one a port higher; with "all", the watch,
    which knows these ports, after the last of them.

    Parameters
    ----------
    stages : sequence of str
        Names of stages, or ``("all",)``.
    """
    configure_logs(settings.log_format, settings.log_level)
    names = all_stages(settings) if tuple(stages) == ("all",) else tuple(dict.fromkeys(stages))
    if len(names) == 1:
        return run_stage(names[0], settings)
    jobs = {name: (name, _own_port(settings, i)) for i, name in enumerate(names)}
    if tuple(stages) == ("all",):
        jobs[WATCH] = (WATCH, watch_settings(settings, names))
    return supervise(jobs, run_stage)


def all_stages(settings: Settings) -> tuple[str, ...]:
    """Name what "all" runs: the flow, what is kept for readers, the silent stage of a bundle on trial."""
    silent = () if settings.silent_bundle is None else (SILENT_ROUTE.stage,)
    return (*ROUTES, LINK_ROUTE.stage, WAVEFORM_ROUTE.stage, *silent)


def run_stage(name: str, settings: Settings) -> int:
    """Run one stage, or the watch, in this process until SIGTERM or SIGINT; returns the exit code."""
    configure_logs(settings.log_format, settings.log_level)
    if name == WATCH:
        # Imported here: a worker has no need of it.
        from streams.watch.running import run_watch

        return exit_code_of(name, run_watch(settings))
    ending = Ending()
    return exit_code_of(name, _serve(name, settings, ending), ending)


def exit_code_of(name: str, serving: Coroutine[None, None, None], ending: Ending | None = None) -> int:
    """Serve a stage to its end; returns the exit code that tells a supervisor what to do.

    Does not return but ends the process with that code when the service could not leave properly.
    """
    return asyncio.run(_serve_to_end(name, serving, ending or Ending()))


async def _serve_to_end(name: str, serving: Coroutine[None, None, None], ending: Ending) -> int:
    task = asyncio.create_task(serving)
    await asyncio.wait({task})
    exit_code = _judged(name, task.exception(), ending)
    if ending.incomplete:
        # Here and not later: asyncio would first wait for what does not end.
        end_at_once(exit_code)
    return exit_code


def _judged(name: str, error: BaseException | None, ending: Ending) -> int:
    if error is None:
        log.info("stopped", stage=name)
        return STOPPED
    if isinstance(error, ConfigurationError) and not ending.had_begun:
        log.error("cannot_start", stage=name, code=error.code, reason=str(error))
        return MISCONFIGURED
    if isinstance(error, DiastoleError):
        log.error("failed", stage=name, code=error.code, reason=str(error))
    else:
        # Neither text nor traceback: what others raise may quote a patient.
        log.error("failed", stage=name, code=type(error).__name__, raised_at=where_raised(error))
    return FAILED


async def _serve(name: str, settings: Settings, ending: Ending) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stage = build_stage(name, settings)
    limit_threads(settings.threads)
    await StageService(stage, route_of(name), build_codec(settings), settings, stop, ending).run()


def limit_threads(threads: int) -> None:
    """Give the numeric libraries loaded so far this many threads, for the whole process; 0 leaves them be.

    Called once the stage is built: what it needs is loaded then, and nothing has been computed yet. (Torch
    counts for itself; the predictor tells it.)
    """
    if threads:
        threadpool_limits(threads)


def watch_settings(settings: Settings, names: Sequence[str]) -> Settings:
    """Tell the watch beside these stages where each serves its health, as far as that is known."""
    base = settings.metrics_port
    if not base:
        return settings
    host = _LOOPBACK if settings.metrics_host in _EVERYWHERE else settings.metrics_host
    ours = [f"{name}={host}:{base + place}" for place, name in enumerate(names)]
    workers = ",".join(filter(None, [*ours, settings.watch_workers]))
    return _own_port(settings, len(names)).model_copy(update={"watch_workers": workers})


def _own_port(settings: Settings, place: int) -> Settings:
    if not settings.metrics_port:
        return settings
    return settings.model_copy(update={"metrics_port": settings.metrics_port + place})
