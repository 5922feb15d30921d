"""The commands of quarantine from the list to the replay, on the embedded broker."""

import asyncio
import json
import os
import pwd
from pathlib import Path

import pytest
from quarantine_in_memory import delivery_of, dicom_of, refusal_of
from typer.testing import CliRunner, Result

from ops.cli.quarantine import app
from ops.services import RunningBroker
from ops.topics import apply_topics
from schemas.codec import Codec
from schemas.registry import FileRegistry
from streams.feeds.quarantine.keeper import open_keeper
from streams.feeds.sealing import QUARANTINE, Secret

PARTITIONS = 2


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(Secret.generate().text())
    return path


async def kept(bootstrap: str, secret: Secret) -> list[str]:
    """Three nameless ECGs and a PDF; their ids."""
    await apply_topics(bootstrap, PARTITIONS)
    deliveries = [delivery_of(dicom_of(""), source=f"CART{n}") for n in range(3)]
    deliveries.append(delivery_of(b"%PDF-1.7", source="SCANNER"))
    async with open_keeper(bootstrap, Codec(FileRegistry()), secret.sealer(QUARANTINE)) as keeper:
        return [await keeper.keep(delivery, refusal_of(delivery)) for delivery in deliveries]


def test_from_the_list_to_the_replay(
    embedded_broker: RunningBroker, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless, second, third, report = asyncio.run(kept(embedded_broker.bootstrap, Secret.load(key_file)))
    settings = {"BROKER": embedded_broker.bootstrap, "HOME": tmp_path, "FEED_KEY_FILE": key_file}
    for name, setting in settings.items():
        monkeypatch.setenv(f"DIASTOLE_{name}", str(setting))

    def quarantine(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    def listed(*arguments: str) -> dict[str, dict[str, object]]:
        lines = quarantine("list", "--json", *arguments).stdout.splitlines()
        return {entry["quarantine_id"]: entry for entry in map(json.loads, lines)}

    assert listed().keys() == {nameless, second, third, report}
    assert listed("--reason-code", "no_patient").keys() == {nameless, second, third}
    assert nameless[:8] in quarantine("list").stdout

    saved = tmp_path / "report.pdf"
    shown = quarantine("show", report[:8], "--save", str(saved))
    assert "export it again" in shown.stdout
    assert saved.read_bytes() == b"%PDF-1.7"

    for name in (nameless, second):
        assert quarantine("correct", name[:8], "--patient-id", "4711", "--ward", "W3").exit_code == 0
    replayed = quarantine("replay", "--all")
    assert replayed.exit_code == 1
    assert "2 replayed, 2 not" in replayed.stdout
    assert quarantine("discard", report[:8], third, "--reason", "a report and a test").exit_code == 0

    assert listed() == {}
    states = {name: entry["state"] for name, entry in listed("--all").items()}
    assert states == {
        nameless: "REPLAYED",
        second: "REPLAYED",
        third: "DISCARDED",
        report: "DISCARDED",
    }
    acts = json.loads(quarantine("show", nameless, "--json", "--actor", "auditor").stdout)["acts"]
    assert [act["verb"] for act in acts] == ["CORRECTED", "REPLAYED", "SHOWN"]
    user = pwd.getpwuid(os.getuid()).pw_name
    assert [act["actor"] for act in acts] == [user, user, "auditor"]


def test_another_key_opens_nothing_and_the_command_says_which_setting_to_look_at(
    embedded_broker: RunningBroker, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nameless, *_) = asyncio.run(kept(embedded_broker.bootstrap, Secret.generate()))
    monkeypatch.setenv("DIASTOLE_BROKER", embedded_broker.bootstrap)
    monkeypatch.setenv("DIASTOLE_FEED_KEY_FILE", str(key_file))
    result = CliRunner().invoke(app, ["show", nameless])
    assert "DIASTOLE_FEED_KEY_FILE" in str(result.exception)
    assert nameless[:8] in CliRunner().invoke(app, ["list"]).stdout
