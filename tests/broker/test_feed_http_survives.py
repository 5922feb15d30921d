"""A thousand ECGs over HTTP while Kafka stalls and the gateway is killed: none is lost, none is twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from feed_process import feed_server
from feed_storm import Send, assert_exactly_once, documents_of, storm, written_ids

from ops.services import RunningBroker
from ops.services.ports import LOOPBACK, free_port
from ops.topics import apply_topics

N = 1000
RUN = 1
STALL_S = 10.0


async def test_what_is_acknowledged_is_in_kafka_exactly_once(
    own_apache_broker: RunningBroker, tmp_path: Path
) -> None:
    broker = own_apache_broker
    await apply_topics(broker.bootstrap, 4)
    port = free_port()
    gateway = feed_server(["http", "--port", str(port)], port, tmp_path / "gateway", broker=broker.bootstrap)

    @contextmanager
    def connect() -> Iterator[Send]:
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=40.0) as client:

            def send(document: bytes) -> bool:
                answer = client.post("/v1/ecgs", content=document)
                assert answer.status_code in (200, 201, 503), answer.text
                return answer.status_code != 503

            yield send

    def crash() -> None:
        gateway.kill()
        gateway.start()

    def stall_and_crash() -> None:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        going_on = threading.Timer(STALL_S, os.kill, (broker.pid, signal.SIGCONT))
        going_on.start()
        time.sleep(STALL_S / 2)  # the outage itself, not a wait for something
        crash()  # with writes in the stalled broker's sockets, and into the rest of the outage
        going_on.join()

    with gateway.start():
        seen = storm(
            connect,
            documents_of(N, RUN),
            connections=8,
            trouble=(httpx.TransportError,),
            disturbances={N // 4: stall_and_crash, 3 * N // 4: crash},
        )

    assert len(seen.acknowledged) == N
    assert seen.troubles > 0, "the gateway was killed while it was busy"
    assert_exactly_once(seen, await written_ids(broker.bootstrap), RUN)
