"""A worker process with a toy stage, for tests to kill: ``python toy_worker.py STAGE PREFIX SETTINGS``."""

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import ConfigurationError, PoisonError, RetriableError
from streams.ending import Ending
from streams.logs import configure_logs
from streams.message import Headers
from streams.service import StageService
from streams.settings import Settings
from streams.stage import Received, Stage
from streams.topology import Route
from streams.worker import exit_code_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    patient_id: str
    number: int
    seen: int = 0


class ToyCodec:
    def encode(self, record: Any) -> bytes:
        return json.dumps(
            {"patient_id": record.patient_id, "number": record.number, "seen": record.seen}
        ).encode()

    def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
        try:
            return Toy(**json.loads(payload))
        except (ValueError, TypeError) as error:
            raise PoisonError(f"not a toy ({type(error).__name__})") from None


class MisledCodec(ToyCodec):
    def decode(self, payload: bytes, *expected: Any, headers: Headers | None = None) -> Any:
        raise ConfigurationError("this is no schema registry")


def refuse_thirteen(batch: Sequence[Received[Toy]]) -> list[Toy]:
    """Raise for the whole batch when one of it is a 13, as a tensor library would."""
    if any(received.record.number == 13 for received in batch):
        raise ZeroDivisionError("13")
    return [received.record for received in batch]


def count(before: bytes | None, received: Received[Toy]) -> tuple[bytes, list[Toy]]:
    """Count what a patient sent; numbers rise, so one that is not higher has been counted before."""
    seen, highest = (int(part) for part in (before or b"0 -1").split())
    toy = received.record
    if toy.number <= highest:
        return f"{seen} {highest}".encode(), []
    return f"{seen + 1} {toy.number}".encode(), [
        Toy(patient_id=toy.patient_id, number=toy.number, seen=seen + 1)
    ]


def hang(batch: Sequence[Received[Toy]]) -> list[Toy]:
    """Never return, as a call into a driver may."""
    threading.Event().wait()
    return []


async def fail(results: Sequence[Toy]) -> None:
    """Raise what nobody expected, with the patient in its text."""
    raise OverflowError(results[0].patient_id)


async def refuse(results: Sequence[Toy]) -> None:
    """Find out only at work that something is set up wrong."""
    raise ConfigurationError("no right to write there")


def toy_stage(name: str, settings: Settings) -> Stage[Toy]:
    async def wait_while_held(results: Sequence[Toy]) -> None:
        if (settings.home / "hold").exists():
            raise RetriableError("held by the test")

    if name.startswith("count"):
        return Stage(name=name, reads=Toy, decide=count)
    if name == "hang":
        return Stage(name=name, reads=Toy, work=hang)
    if name == "fail":
        return Stage(name=name, reads=Toy, work=refuse_thirteen, effect=fail)
    if name == "refuse":
        return Stage(name=name, reads=Toy, work=refuse_thirteen, effect=refuse)
    if name == "hold":
        return Stage(name=name, reads=Toy, work=refuse_thirteen, effect=wait_while_held)
    return Stage(name=name, reads=Toy, work=refuse_thirteen)


def toy_route(name: str, prefix: str) -> Route:
    remembers = f"{prefix}.state" if name.startswith("count") else None
    return Route(
        stage=f"{prefix}-{name}", consumes=f"{prefix}.in", produces=f"{prefix}.out", remembers=remembers
    )


async def serve(name: str, prefix: str, settings: Settings, ending: Ending) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    stage, route = toy_stage(name, settings), toy_route(name, prefix)
    codec = MisledCodec() if name == "misled" else ToyCodec()
    await StageService(stage, route, codec, settings, stop, ending).run()


if __name__ == "__main__":
    configure_logs("json", "info")
    given = Settings.model_validate_json(sys.argv[3])
    ending = Ending()
    serving = serve(sys.argv[1], sys.argv[2], given, ending)
    raise SystemExit(exit_code_of(sys.argv[1], serving, ending))
