import asyncio
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from ops.cli.main import TRY_LATER
from ops.rendering import json_line
from ops.services import RunningBroker
from ops.services.ports import free_port
from ops.topic_reader import Seen, open_topic_reader
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.errors import ConfigurationError
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.feeds.files import read_file
from streams.feeds.publish import BrokerUnavailableError, open_publisher
from streams.topology import ECG_RECORDED

SAMPLE = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))
DEADLINE_S = 30.0


@pytest.fixture
def codec() -> Codec:
    return Codec(FileRegistry())


async def read_ecg(bootstrap: str, codec: Codec, partition: int, offset: int) -> Seen:
    """Find one message; Apache Kafka is shared with other tests, so others' messages are passed over."""
    reading = open_topic_reader(bootstrap, [ECG_RECORDED], codec, from_beginning=True)
    async with asyncio.timeout(DEADLINE_S), reading as reader:
        async for seen in reader:
            if (seen.message.partition, seen.message.offset) == (partition, offset):
                return seen
    raise AssertionError("unreachable")


async def test_a_published_file_is_on_the_topic_under_its_patients_key(
    broker: RunningBroker, codec: Codec
) -> None:
    await apply_topics(broker.bootstrap, 4)
    ecg = read_file(SAMPLE).ecg
    async with open_publisher(broker.bootstrap, codec) as publisher:
        at = await publisher.publish(ecg)

    seen = await read_ecg(broker.bootstrap, codec, at.partition, at.offset)

    assert seen.message.key == b"642341"
    assert isinstance(seen.record, EcgRecorded)
    assert seen.record.ecg_id == ecg.ecg_id == at.ecg_id
    np.testing.assert_array_equal(seen.record.samples, ecg.samples)
    headers = dict(seen.message.headers)
    assert headers["ce_type"] == ECG_RECORDED.encode()
    assert {
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_time",
        "traceparent",
        "content-type",
    } <= headers.keys()
    assert not any(b"642341" in text for text in headers.values())


async def test_publishing_again_writes_the_same_id_to_the_same_partition(
    broker: RunningBroker, codec: Codec
) -> None:
    await apply_topics(broker.bootstrap, 4)
    async with open_publisher(broker.bootstrap, codec) as publisher:
        first = await publisher.publish(read_file(SAMPLE).ecg)
        second = await publisher.publish(read_file(SAMPLE).ecg)
    assert (first.ecg_id, first.partition) == (second.ecg_id, second.partition)
    assert second.offset > first.offset


async def test_an_unreachable_broker_is_named_with_what_to_do(codec: Codec) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerUnavailableError, match=f"{address}.*diastole services up"):
        async with open_publisher(address, codec):
            pass


async def test_reading_an_unknown_topic_is_refused(embedded_broker: RunningBroker, codec: Codec) -> None:
    await apply_topics(embedded_broker.bootstrap, 1)
    with pytest.raises(ConfigurationError, match="diastole topics apply"):
        async with open_topic_reader(
            embedded_broker.bootstrap, ["ecg.nothing.v1"], codec, from_beginning=True
        ):
            pass


def diastole(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ops.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


async def test_the_commands_publish_and_tail(embedded_broker: RunningBroker, tmp_path: Path) -> None:
    at = ("--broker", embedded_broker.bootstrap)
    assert diastole("topics", "apply", *at).returncode == 0
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF-1.7")

    odd = tmp_path / "odd.xml"
    odd.write_text('<?xml version="1.0" encoding="Shift_JIS"?><AnnotatedECG xmlns="urn:hl7-org:v3"/>')

    published = diastole("publish", str(report), str(odd), str(SAMPLE), "--timezone", "Europe/Rome", *at)

    assert published.returncode == 1
    assert published.stdout.startswith("published waveform_ecg.dcm as ")
    assert "refused report.pdf: a printed report" in published.stderr
    assert "refused odd.xml: XML in an encoding that is not read" in published.stderr
    assert "note on waveform_ecg.dcm: time carries no zone, read as Europe/Rome" in published.stderr
    assert "Traceback" not in published.stderr
    assert "642341" not in published.stdout + published.stderr
    tailed = diastole("tail", ECG_RECORDED, "--from-beginning", "--json", "--count", "1", *at)
    line = json.loads(tailed.stdout)
    assert (line["type"], line["record"]["source_format"]) == ("EcgRecorded", "DICOM")
    assert line["record"]["acquired_at"].startswith("2013-01-25T09:59:19")
    assert line["record"]["samples"] == "int16 (12, 10000)"
    readable = diastole("tail", ECG_RECORDED, "--from-beginning", "--count", "1", *at)
    assert "12 leads, 10.0 s at 1000 Hz, DICOM" in readable.stdout


async def test_garbage_on_a_topic_is_tailed_as_undecodable(
    embedded_broker: RunningBroker, codec: Codec
) -> None:
    await apply_topics(embedded_broker.bootstrap, 1)
    async with open_publisher(embedded_broker.bootstrap, codec) as publisher:
        await publisher._producer.send_and_wait(ECG_RECORDED, value=b"noise", key=b"k", headers=[])
    seen = await read_ecg(embedded_broker.bootstrap, codec, 0, 0)
    assert json.loads(json_line(seen))["undecodable"]["code"] == "DECODE"


def test_a_command_without_a_broker_says_so_in_one_line() -> None:
    done = diastole("publish", str(SAMPLE), "--broker", f"127.0.0.1:{free_port()}")
    assert done.returncode == TRY_LATER
    assert done.stderr.count("\n") == 1
    assert "diastole services up" in done.stderr


def test_a_ward_is_simulated_onto_the_topic(embedded_broker: RunningBroker) -> None:
    at = ("--broker", embedded_broker.bootstrap)
    assert diastole("topics", "apply", *at).returncode == 0
    ward = ("--beds", "3", "--every", "1d", "--for", "2d", "--speedup", "1e6", "--faults", "0")
    assert "published 6 ECGs of 3 simulated patients" in diastole("simulate", *ward, *at).stdout
    tailed = diastole("tail", ECG_RECORDED, "--from-beginning", "--json", "--count", "6", *at)
    lines = [json.loads(line) for line in tailed.stdout.splitlines()]
    assert len({line["record"]["ecg_id"] for line in lines}) == 6
    assert len({line["record"]["patient_id"] for line in lines}) == 3
