import pytest
from pydantic import ValidationError

from schemas.errors import ConfigurationError
from streams.feeds.settings import load_feed_settings
from streams.settings import Settings, load_settings


def test_environment_is_read_with_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIASTOLE_BROKER", "kafka://a:1, b:2")
    monkeypatch.setenv("DIASTOLE_THREADS", "6")
    settings = load_settings()
    assert settings.broker == "a:1,b:2"
    assert settings.threads == 6


def test_an_option_wins_over_the_environment_and_none_means_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIASTOLE_MAX_DELAY_MS", "7")
    assert load_settings(max_delay_ms=None).max_delay_ms == 7
    assert load_settings(max_delay_ms=9).max_delay_ms == 9


def test_every_wrong_setting_gets_one_line_naming_its_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(broker="nowhere", batch_max_items=0, redis_url="http://secret@x")
    lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "DIASTOLE_BATCH_MAX_ITEMS",
        "DIASTOLE_BROKER",
        "DIASTOLE_REDIS_URL",
    ]
    assert "secret" not in str(caught.value)


def test_settings_cannot_be_changed_after_the_check() -> None:
    with pytest.raises(ValidationError):
        Settings().broker = "x:1"


def test_the_zone_of_local_times_is_a_setting_that_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().timezone == "UTC"
    monkeypatch.setenv("DIASTOLE_TIMEZONE", "Europe/Rome")
    assert load_settings().timezone == "Europe/Rome"
    assert load_settings(timezone="Asia/Tokyo").timezone == "Asia/Tokyo"
    for wrong in ("Middle/Earth", "", "/etc/localtime", "../UTC"):
        monkeypatch.setenv("DIASTOLE_TIMEZONE", wrong)
        with pytest.raises(ConfigurationError, match=r"DIASTOLE_TIMEZONE.*Europe/Rome"):
            load_settings()


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_file_of_a_feed_is_none(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv("DIASTOLE_FEED_KEY_FILE", empty)
    monkeypatch.setenv("DIASTOLE_FEED_TOKENS", empty)
    settings = load_feed_settings()
    assert (settings.key_file, settings.tokens) == (None, None)
    monkeypatch.setenv("DIASTOLE_FEED_KEY_FILE", "feed.key")
    assert str(load_feed_settings().key_file) == "feed.key"
