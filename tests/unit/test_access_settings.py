"""How connections are set: what is checked at the start, and that no secret shows anywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, secret_file

from schemas.errors import ConfigurationError
from streams.access import KafkaAccess, RedisAccess, client_options, without_password
from streams.settings import Settings, load_settings

SECRET = "tr0ub4dor&3 with spaces and ü"  # noqa: S105  # what must not show


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def refusal(**given: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**given)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_bare_address_is_plain_text() -> None:
    assert client_options("a:1,b:2") == {"bootstrap_servers": "a:1,b:2"}
    assert client_options(Settings(broker="a:1").kafka) == {"bootstrap_servers": "a:1"}


def test_scram_over_tls_is_what_the_client_is_told(authority: Authority, tmp_path: Path) -> None:
    access = load_settings(
        kafka_security="SASL_SSL",
        kafka_ca_file=authority.ca_file,
        kafka_user="infer",
        kafka_password_file=secret_file(tmp_path, SECRET),
    ).kafka
    options = client_options(access)
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "infer",
        "sasl_plain_password": SECRET,
    }


def test_a_certificate_of_ours_may_have_an_encrypted_key(authority: Authority, tmp_path: Path) -> None:
    issued = authority.issue("infer", password=SECRET)
    given = {
        "kafka_security": "SSL",
        "kafka_ca_file": authority.ca_file,
        "kafka_cert_file": issued.cert_file,
        "kafka_key_file": issued.key_file,
    }
    load_settings(**given, kafka_key_password_file=secret_file(tmp_path, SECRET))
    assert "DIASTOLE_KAFKA_KEY_PASSWORD_FILE" in refusal(**given)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    assert "KEY_FILE" in refusal(**given, kafka_key_password_file=secret_file(wrong, "wrong"))


def test_redis_is_told_user_password_and_whom_to_trust(authority: Authority, tmp_path: Path) -> None:
    settings = load_settings(
        redis_url="rediss://r:1/0",
        redis_ca_file=authority.ca_file,
        redis_user="history",
        redis_password_file=secret_file(tmp_path, SECRET),
    )
    assert settings.redis.client_options() == {
        "username": "history",
        "password": SECRET,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_ca_certs": str(authority.ca_file),
    }
    assert RedisAccess(url="redis://r:1/0").client_options() == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kafka_security": "SASL_SSL"}, "DIASTOLE_KAFKA_USER: must be set"),
        ({"kafka_security": "SASL_SSL", "kafka_user": "u"}, "DIASTOLE_KAFKA_PASSWORD_FILE: SASL_SSL needs"),
        ({"kafka_user": "u"}, "set DIASTOLE_KAFKA_SECURITY to SASL_SSL"),
        ({"kafka_password": SECRET}, "set DIASTOLE_KAFKA_SECURITY to SASL_SSL"),
        ({"kafka_ca_file": Path(__file__)}, "used with TLS alone"),
        ({"kafka_security": "SSL", "kafka_ca_file": "/no"}, "DIASTOLE_KAFKA_CA_FILE: there is no such file"),
        (
            {"kafka_security": "SSL", "kafka_ca_file": Path(__file__)},
            "DIASTOLE_KAFKA_CA_FILE: cannot be used",
        ),
        ({"kafka_security": "SSL", "kafka_cert_file": Path(__file__)}, "a certificate needs its key"),
        ({"kafka_security": "TLS"}, "DIASTOLE_KAFKA_SECURITY"),
        ({"redis_ca_file": Path(__file__)}, "begin DIASTOLE_REDIS_URL with rediss://"),
        ({"redis_user": "u"}, "DIASTOLE_REDIS_USER: needs a password"),
        ({"redis_url": f"redis://u:{SECRET}@r:1", "redis_password": SECRET}, "in one of them"),
        ({"redis_password_file": "/no"}, "DIASTOLE_REDIS_PASSWORD_FILE: there is no such file"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(given: dict[str, Any], said: str) -> None:
    assert said in refusal(**given)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602])
def test_a_secret_that_others_can_read_is_refused(authority: Authority, tmp_path: Path, mode: int) -> None:
    password = secret_file(tmp_path, SECRET, mode)
    given = {"kafka_security": "SASL_SSL", "kafka_user": "u"}
    assert "chmod 600" in refusal(**given, kafka_password_file=password)
    assert "chmod 600" in refusal(redis_password_file=password)
    issued = authority.issue(f"open-{mode:o}")
    issued.key_file.chmod(mode)
    assert "DIASTOLE_KAFKA_KEY_FILE: the file is open" in refusal(
        kafka_security="SSL", kafka_cert_file=issued.cert_file, kafka_key_file=issued.key_file
    )


def test_a_secret_that_the_group_reads_is_taken(tmp_path: Path) -> None:
    assert load_settings(redis_password_file=secret_file(tmp_path, SECRET, 0o640)).redis.password is not None


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    ours, theirs = authority.issue("ours"), authority.issue("theirs")
    said = refusal(kafka_security="SSL", kafka_cert_file=ours.cert_file, kafka_key_file=theirs.key_file)
    assert "cannot be used together" in said


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_CA_FILE", "KAFKA_USER", "KAFKA_PASSWORD", "REDIS_PASSWORD_FILE", "REDIS_USER"):
        monkeypatch.setenv(f"DIASTOLE_{name}", "")
    assert load_settings().kafka.user is None


def _urls(settings: Settings) -> str:
    return str(settings.model_dump()) + settings.model_dump_json()


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        _urls,
        lambda settings: repr(settings.kafka) + str(settings.kafka),
        lambda settings: repr(settings.redis) + str(settings.redis),
        lambda settings: f"{settings.kafka_password} {settings.redis_password}",
    ],
)
def test_no_secret_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shown: Callable[[Settings], str]
) -> None:
    monkeypatch.setenv("DIASTOLE_KAFKA_PASSWORD", SECRET)
    settings = load_settings(
        kafka_security="SASL_PLAINTEXT",
        kafka_user="u",
        redis_url="redis://u:sesame@r:1/0",
        registry_url="https://u:sesame@r:2",
    )
    assert settings.kafka.client_options()["sasl_plain_password"] == SECRET  # it is there to be shown
    assert SECRET not in shown(settings)
    assert "sesame" not in shown(settings)
    monkeypatch.delenv("DIASTOLE_KAFKA_PASSWORD")
    with_file = load_settings(redis_password_file=secret_file(tmp_path, SECRET))
    assert with_file.redis.client_options()["password"] == SECRET
    assert SECRET not in shown(with_file)


def test_redis_is_named_as_people_know_it() -> None:
    assert str(RedisAccess(url="redis://u:sesame@r:6379/0")) == "r:6379"
    assert str(RedisAccess(url="unix:///run/redis.sock?password=sesame")) == "/run/redis.sock"
    assert "sesame" not in str(RedisAccess(url="redis://u:sesame#@r:6379/0"))


def test_the_principal_is_the_user_or_the_subject_of_the_certificate(authority: Authority) -> None:
    assert KafkaAccess(bootstrap="k:1", security="SASL_SSL", user="infer").principal == "User:infer"
    certificate = authority.issue("infer").cert_file
    assert KafkaAccess(bootstrap="k:1", security="SSL", cert_file=certificate).principal == "User:CN=infer"
    assert KafkaAccess(bootstrap="k:1").principal == "User:ANONYMOUS"


def test_addresses_are_shown_without_what_they_hide() -> None:
    assert without_password("rediss://u:sesame@[::1]:6379/0?password=sesame") == "rediss://[::1]:6379/0"
    assert without_password("unix:///run/redis.sock?db=1") == "unix:///run/redis.sock"
    for broken in ("redis://u:sesame@[broken", "redis://u:sesame#1@r:1", "redis://u:sesame/1@r:1"):
        assert "sesame" not in without_password(broken)


def test_a_password_read_from_a_file_is_read_anew(tmp_path: Path) -> None:
    path = secret_file(tmp_path, SECRET)
    settings = load_settings(redis_password_file=path)
    path.write_text("another\n")
    assert "another" in settings.redis.client_options().values()
