"""Fetching that does not dawdle: Faust asks every broker to hold an empty fetch for 1.5 s, without a setting.

Apache Kafka answers such a fetch as soon as a record arrives. The embedded broker sits the whole time out, so
each stage would cost an ECG 0.7 s on average.
"""

from typing import Any, Final

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

#: An idle worker sends 20 small requests a second; an ECG on the embedded broker waits half of this a stage.
FETCH_MAX_WAIT_MS: Final = 50


class _PromptThread(AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # aiokafka hands this on to its fetcher when the consumer is started.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer


class _PromptConsumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _PromptThread(self, loop=self.loop, beacon=self.beacon)


class PromptTransport(Transport):
    """Faust's Kafka transport, fetching with :data:`FETCH_MAX_WAIT_MS`.

    It relies on three names that Faust and aiokafka keep for themselves; a test asks the running fetcher, so
    that an upgrade which renames one of them is noticed.
    """

    Consumer = _PromptConsumer
