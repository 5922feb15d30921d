"""The compose file is valid, hardened, and speaks of things that exist in this repository.

There is no container engine in a test run, so what is checked is everything short of starting it: the
compose specification's own JSON schema (of 2021, fetched by ``make test``; newer keys are checked here by
hand) and the file's meaning. That the images exist and start is not proven here.
"""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from command_line import assert_accepted

from streams.feeds.settings import FEED_PREFIX, FeedSettings
from streams.settings import PREFIX, Settings
from streams.topology import ALL_ROUTES

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / ".diastole/compose-spec/compose/config/compose_spec.json"
TEXT = (ROOT / "docker-compose.yml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
ONE_SHOT = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = sorted(set(SERVICES) - ONE_SHOT)
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
VARIABLE = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")

#: What the example environment may say for everybody.
FILLED_IN = {
    "COMPOSE_PROFILES",
    "DIASTOLE_INBOX_URL",
    "DIASTOLE_PARTITIONS",
    "DIASTOLE_TIMEZONE",
    "ECG_FOLDER",
    "GRAFANA_PLUGINS",
    "SILENT_BUNDLE",
    "WATCH_MORE",
}

every_service = pytest.mark.parametrize("name", sorted(SERVICES))


def test_file_follows_the_compose_specification() -> None:
    if not SPEC.exists():
        pytest.skip("the compose specification is fetched by make test")
    schema = json.loads(SPEC.read_text())
    # The top-level name came into the specification in 2022, after this copy of its schema.
    known = {key: part for key, part in STACK.items() if key != "name"}
    jsonschema.Draft201909Validator(schema).validate(known)


def test_the_schema_would_refuse_a_misspelt_key() -> None:
    if not SPEC.exists():
        pytest.skip("the compose specification is fetched by make test")
    wrong = {"services": {"kafka": {"image": "apache/kafka:4.1.2", "helthcheck": {}}}}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.Draft201909Validator(json.loads(SPEC.read_text())).validate(wrong)


def test_the_stack_has_every_part_of_the_design() -> None:
    assert set(SERVICES) >= {"kafka", "redis", "registry", "topics", "prometheus", "grafana"}
    commands = [SERVICES[name]["command"] for name in OURS if name not in ONE_SHOT]
    assert {command[1] for command in commands if command[0] == "worker"} == set(ALL_ROUTES)
    assert {command[1] for command in commands if command[0] == "feed"} == {"folder", "dicom", "mllp", "http"}


@pytest.mark.parametrize("name", LASTING)
def test_lasting_service_has_a_health_check_and_restarts(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)
    assert SERVICES[name]["restart"] == "unless-stopped"


@every_service
def test_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert int(service["user"].split(":")[0]) > 0
    assert service.get("read_only") or name == "kafka"  # its image writes its own configuration


@every_service
def test_image_is_pinned_to_a_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.match(r"v?\d+\.\d+", tag), f"{name}: {SERVICES[name]['image']}"


@every_service
def test_secrets_come_from_the_environment_and_have_no_default(name: str) -> None:
    for key, setting in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|TOKEN|AUTH$", key):
            # A path to where secrets are kept is none.
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}|/var/lib/diastole/[\w.-]+", setting), key
        assert not re.search(r"//[^/@$]*:[^$@/][^@/]*@", str(setting)), f"{key} holds a literal password"


def test_a_forgotten_secret_stops_compose_with_a_message() -> None:
    for variable, default in VARIABLE.findall(TEXT):
        secret = re.search(r"PASSWORD|USER|CLUSTER_ID|TOKEN", variable)
        assert default.startswith(":?" if secret else ":-"), variable


def test_example_environment_names_every_variable_and_holds_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(example) == {variable for variable, _ in VARIABLE.findall(TEXT)} | {"COMPOSE_PROFILES"}
    for variable, setting in example.items():
        assert not setting or variable in FILLED_IN


def test_every_service_depends_on_what_exists_and_can_fulfil_the_condition() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, f"{name} needs {needed}"
            if how["condition"] == "service_completed_successfully":
                assert needed in ONE_SHOT, f"{name} waits for {needed} to end"
            else:
                assert how["condition"] == "service_healthy"
                assert needed in LASTING
            assert "profiles" not in SERVICES[needed], f"{needed} may be switched off by its profile"


def test_networks_and_volumes_are_declared_and_all_used() -> None:
    networks = {network for service in SERVICES.values() for network in service["networks"]}
    assert networks == set(STACK["networks"])
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {mount for mount in mounts if not mount.startswith((".", "$"))} == set(STACK["volumes"])
    for mount in (mount for mount in mounts if mount.startswith(".")):
        assert (ROOT / mount).is_dir(), mount


def test_only_loopback_ports_are_published() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port}"
    assert STACK["networks"]["flow"]["internal"] is True


@pytest.mark.parametrize("name", OURS)
def test_environment_of_our_services_names_settings_that_exist_and_hold(name: str) -> None:
    environment = SERVICES[name]["environment"]
    filled = {key: fill(str(text)) for key, text in environment.items()}
    of_feeds = {
        key.removeprefix(FEED_PREFIX).lower(): text
        for key, text in filled.items()
        if key.startswith(FEED_PREFIX)
    }
    FeedSettings.model_validate_strings(of_feeds)
    of_all = {
        key.removeprefix(PREFIX).lower(): text
        for key, text in filled.items()
        if not key.startswith(FEED_PREFIX)
    }
    settings = Settings.model_validate_strings(of_all)
    assert settings.broker == "kafka:9092"
    assert settings.metrics_port == 9464


def fill(text: str) -> str:
    """Do what compose does: the default, or some setting where one is required."""
    return VARIABLE.sub(lambda found: found[2][2:] if found[2].startswith(":-") else "x", text)


@pytest.mark.parametrize("name", OURS)
def test_command_of_our_services_is_one_the_command_line_accepts(name: str) -> None:
    words = SERVICES[name]["command"]
    assert_accepted(words)
    assert words[0] != "worker" or words[1] in set(ALL_ROUTES)


def test_gpu_is_reserved_by_exactly_the_gpu_profile() -> None:
    with_gpu = {name for name, service in SERVICES.items() if "deploy" in service}
    assert with_gpu == {name for name, service in SERVICES.items() if service.get("profiles") == ["gpu"]}
    (device,) = SERVICES["infer-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert SERVICES["infer-gpu"]["environment"][PREFIX + "DEVICE"] == "cuda"


def test_kafka_is_the_version_the_tests_run_on() -> None:
    pom = (ROOT / "ops/kafka/pom.xml").read_text()
    found = re.search(r"<kafka\.version>(.+)</kafka\.version>", pom)
    assert found is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{found[1]}"


def test_prometheus_asks_every_worker() -> None:
    scraped = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())
    (job,) = [job for job in scraped["scrape_configs"] if job["job_name"] == "diastole"]
    (where,) = job["dns_sd_configs"]
    assert set(where["names"]) == set(OURS) - ONE_SHOT
    assert where["port"] == int(SERVICES["infer"]["environment"][PREFIX + "METRICS_PORT"])


def test_dockerfile_ends_as_a_user_without_rights_and_checks_health() -> None:
    last_stage = (ROOT / "ops/Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last_stage, re.MULTILINE)
    assert SERVICES["featurize"]["user"] == "10001:10001"
