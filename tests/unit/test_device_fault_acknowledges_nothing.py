import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic

import pytest
from memory_kafka import MemoryKafka, MemoryTransport

from models.batching import DeviceError
from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.cohorts.simulated import Ward
from models.manifest import Manifest
from models.predictor import Prediction
from schemas.codec import Codec
from schemas.featurized import EcgFeaturized
from schemas.registry import FileRegistry
from streams.featurize import featurize
from streams.infer import infer
from streams.message import Outgoing
from streams.metrics import StageMetrics
from streams.progress import Progress
from streams.settings import Settings
from streams.stage import Received, Stage
from streams.topology import ECG_FEATURIZED, ECG_RISK, ROUTES, dead_letter_topic
from streams.wiring import build_runner

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class SickPredictor:
    """Its device is lost: the error sticks, whatever it is given."""

    def __init__(self) -> None:
        self.manifest: Manifest = load_bundle(DEFAULT_BUNDLE).manifest
        self.calls = 0

    def predict(self, ecgs: Sequence[EcgFeaturized]) -> list[Prediction]:
        self.calls += 1
        raise DeviceError("CUDA error: uncorrectable ECC error encountered: restart the worker")


async def test_a_lost_device_ends_the_stage_and_costs_no_ecg() -> None:
    kafka, predictor, codec = MemoryKafka(), SickPredictor(), Codec(FileRegistry())
    for record in Ward(beds=6, seed=3, since=NOW).round(NOW):
        (featurized,) = featurize([Received(record=record, published_at=NOW)])
        assert isinstance(featurized, EcgFeaturized)
        value = codec.encode(featurized)
        kafka.append(Outgoing(topic=ECG_FEATURIZED, key=featurized.patient_id.encode(), value=value))
    transport = MemoryTransport(kafka, ECG_FEATURIZED)
    stage = Stage(name="infer", reads=EcgFeaturized, work=lambda batch: infer(batch, predictor, lambda: NOW))
    with ThreadPoolExecutor(1) as executor:
        runner = build_runner(
            stage,
            ROUTES["infer"],
            codec=codec,
            transport=transport,
            executor=executor,
            settings=Settings(),
            metrics=StageMetrics("infer"),
            progress=Progress(monotonic),
        )
        for message in transport.uncommitted():
            await runner.admit(message)
        with pytest.raises(DeviceError):
            await asyncio.wait_for(runner.run(), 10)
    assert predictor.calls == 1
    assert not any(transport.committed)
    assert kafka.messages(ECG_RISK) == kafka.messages(dead_letter_topic(ECG_FEATURIZED)) == []
