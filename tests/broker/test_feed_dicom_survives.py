"""A thousand ECGs by C-STORE while Kafka stalls and the gateway is killed: none is lost, none is twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dicom_sender import NotAssociatedError, association, send
from feed_process import feed_server
from feed_storm import Send, assert_exactly_once, documents_of, storm, written_ids

from ops.services import RunningBroker
from ops.services.ports import free_port
from ops.topics import apply_topics
from streams.feeds.dicom.statuses import OUT_OF_RESOURCES, SUCCESS

N = 1000
RUN = 2
STALL_S = 10.0
PATIENCE_S = 40.0  # longer than the gateway lets a sender wait


#: The client leaves its socket to the collector where nobody listens, as while the gateway is away.
CLIENT_LEAKS = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"


@pytest.mark.filterwarnings(CLIENT_LEAKS)
async def test_what_is_acknowledged_is_in_kafka_exactly_once(
    own_apache_broker: RunningBroker, tmp_path: Path
) -> None:
    broker = own_apache_broker
    await apply_topics(broker.bootstrap, 4)
    port = free_port()
    arguments = ["dicom", "--port", str(port), "--allow", "CART1", "--max-associations", "32"]
    gateway = feed_server(arguments, port, tmp_path / "gateway", broker=broker.bootstrap)

    @contextmanager
    def connect() -> Iterator[Send]:
        with association(port, timeout_s=PATIENCE_S) as made:

            def store(document: bytes) -> bool:
                answer = send(made, document)
                if "Status" not in answer:
                    raise NotAssociatedError
                assert answer.Status in (SUCCESS, OUT_OF_RESOURCES), answer
                return bool(answer.Status == SUCCESS)

            yield store

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
        seen = storm(connect, documents_of(N, RUN), connections=8, disturbances={N // 4: stall_and_crash})

    assert len(seen.acknowledged) == N
    assert seen.troubles > 0, "the gateway was killed while it was busy"
    assert_exactly_once(seen, await written_ids(broker.bootstrap), RUN)
