"""A schema registry behind TLS that asks who comes."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, secret_file

from schemas.errors import ConfigurationError
from schemas.registry import raw_schema
from streams.access import RegistryAccess
from streams.adapters.confluent_registry import ConfluentRegistry
from streams.settings import load_settings

KNOWN = "Basic " + base64.b64encode(b"infer:sesame").decode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers["Authorization"] == KNOWN
        answer = {"schema": json.dumps(raw_schema("CareAction", 1))} if known else {"error_code": 401}
        held = json.dumps(answer).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(held)))
        self.end_headers()
        self.wfile.write(held)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("registry").both_file)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # The handshake in the thread of its connection: one that fails must not end the server.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def registry(**given: Any) -> RegistryAccess:
    access = load_settings(**given).registry
    assert access is not None
    return access


def test_user_password_and_authority_of_the_settings_are_used(
    authority: Authority, url: str, tmp_path: Path
) -> None:
    access = registry(
        registry_url=url,
        registry_ca_file=authority.ca_file,
        registry_user="infer",
        registry_password_file=secret_file(tmp_path, "sesame"),
    )
    assert "sesame" not in repr(access)
    assert ConfluentRegistry(access).schema_of(7)["name"] == "org.diastole.CareAction"


def test_without_them_it_is_refused_in_one_line(authority: Authority, url: str, tmp_path: Path) -> None:
    unknown = registry(registry_url=url, registry_ca_file=authority.ca_file)
    with pytest.raises(ConfigurationError, match=r"refused .*HTTP 401"):
        ConfluentRegistry(unknown).schema_of(7)
    other = Authority(tmp_path / "other", "Another authority")
    with pytest.raises(ConfigurationError, match=r"not trusted .*DIASTOLE_REGISTRY_CA_FILE"):
        ConfluentRegistry(registry(registry_url=url, registry_ca_file=other.ca_file)).schema_of(7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"registry_url": "http://r", "registry_ca_file": __file__}, "with https://"),
        ({"registry_url": "https://r", "registry_ca_file": "/no"}, "REGISTRY_CA_FILE: there is no such file"),
        ({"registry_url": "https://r", "registry_user": "u"}, "set both"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_settings(**given)
