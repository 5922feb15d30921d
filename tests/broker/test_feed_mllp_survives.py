"""A thousand ECGs in HL7 v2 while Kafka stops and the gateway is killed: none is lost, none is twice."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feed_process import feed_server
from feed_storm import Send, assert_exactly_once, dicom_document, storm, written_ids
from writers.hl7_v2 import encapsulated, fields, oru

from ops.services import RunningBroker
from ops.services.ports import LOOPBACK, free_port
from ops.topics import apply_topics
from streams.feeds.mllp.framing import Frames, frame

N = 1000
RUN = 3
OUTAGE_S = 10.0
PATIENCE_S = 40.0  # longer than the gateway lets a sender wait
ANSWER_BYTES = 64 * 1024


def order(number: int) -> bytes:
    """One ECG inside a message that names the patient whom the ECG names."""
    ecg = encapsulated(dicom_document(number, RUN), subtype="DICOM")
    return oru(ecg, pid=f"PID|1||S{number % 7}^^^HOSP^MR")


async def test_what_is_acknowledged_is_in_kafka_exactly_once(
    own_apache_broker: RunningBroker, tmp_path: Path
) -> None:
    broker = own_apache_broker
    await apply_topics(broker.bootstrap, 4)
    port = free_port()
    arguments = ["mllp", "--port", str(port), "--allow", "127.0.0.0/8", "--patient-id-type", "MR"]
    gateway = feed_server(arguments, port, tmp_path / "gateway", broker=broker.bootstrap)

    @contextmanager
    def connect() -> Iterator[Send]:
        with socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S) as connection:
            frames = Frames(ANSWER_BYTES)

            def deliver(message: bytes) -> bool:
                connection.sendall(frame(message))
                while chunk := connection.recv(ANSWER_BYTES):
                    for framed in frames.feed(chunk):
                        [msa] = fields(framed.content, "MSA")
                        assert msa[1] in ("AA", "AR"), framed.content
                        return msa[1] == "AA"
                raise ConnectionResetError

            yield deliver

    def crash() -> None:
        gateway.kill()
        gateway.start()

    def stop_and_crash() -> None:
        broker.kill()
        time.sleep(OUTAGE_S / 2)  # the outage itself, not a wait for something
        starting = threading.Thread(target=crash)
        starting.start()
        time.sleep(OUTAGE_S / 2)
        broker.start()
        starting.join()

    with gateway.start():
        seen = storm(
            connect,
            [order(number) for number in range(N)],
            connections=8,
            disturbances={N // 4: stop_and_crash},
        )

    assert len(seen.acknowledged) == N
    assert seen.troubles > 0, "the gateway was killed while it was busy"
    assert_exactly_once(seen, await written_ids(broker.bootstrap), RUN)
