"""The watch beside ``worker all`` is told where each stage serves its health."""

import pytest

from schemas.errors import ConfigurationError
from streams.settings import Settings
from streams.watch.asking import parsed_addresses
from streams.watch.running import watched_stages
from streams.worker import all_stages, watch_settings


def test_it_asks_each_stage_at_its_port_and_answers_after_the_last() -> None:
    settings = Settings(metrics_port=9464, watch_workers="deliver=127.0.0.1:9480")
    told = watch_settings(settings, ("featurize", "infer"))
    assert told.metrics_port == 9466
    places = [(each.name, each.host, each.port) for each in parsed_addresses(told.watch_workers)]
    assert places == [
        ("featurize", "127.0.0.1", 9464),
        ("infer", "127.0.0.1", 9465),
        ("deliver", "127.0.0.1", 9480),
    ]


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("10.0.0.7", "10.0.0.7")])  # noqa: S104
def test_it_asks_where_the_stages_listen(host: str, asked: str) -> None:
    told = watch_settings(Settings(metrics_port=9464, metrics_host=host), ("alert",))
    assert parsed_addresses(told.watch_workers)[0].host == asked


@pytest.mark.parametrize("port", [None, 0])
def test_without_known_ports_it_sees_by_kafka_alone(port: int | None) -> None:
    assert not watch_settings(Settings(metrics_port=port), ("alert",)).watch_workers


def test_it_expects_what_worker_all_runs_or_what_it_is_told() -> None:
    assert watched_stages(Settings()) == all_stages(Settings())
    assert watched_stages(Settings(watch_stages="alert, infer")) == ("alert", "infer")
    with pytest.raises(ConfigurationError, match="no stage alrt; there are featurize"):
        watched_stages(Settings(watch_stages="alrt"))
