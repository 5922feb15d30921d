"""A schema registry small enough to be killed: answers as Confluent's does, from the schemas' files.

Run it with ``python -m ops.chaos.registry_server PORT``. It remembers nothing, so it is the same after a
kill: the ids are those of the files.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from ops.services.folders import new_run_folder
from ops.services.ports import LOOPBACK, free_port, listens
from ops.services.process import Server, ServerCommand
from schemas.registry import NAMESPACE, newest_version, raw_schema, schema_ids

Answer = tuple[int, dict[str, Any]]

_NO_SCHEMA: Final = (404, {"error_code": 40403, "message": "Schema not found"})
_NO_PATH: Final = (404, {"error_code": 404, "message": "HTTP 404 Not Found"})


def answer(method: str, path: str) -> Answer:
    """Answer one request: a schema by id, the id of a subject's newest version, the one level there is."""
    match [method, *path.strip("/").split("/")]:
        case ["GET", "schemas", "ids", schema_id] if schema_id.isdigit():
            return _schema(int(schema_id))
        case ["GET", "schemas", "guids", _]:
            return _NO_SCHEMA
        case ["GET", "config", *_]:
            return 200, {"compatibilityLevel": "FULL_TRANSITIVE"}
        case ["PUT", "config", *_]:
            return 200, {"compatibility": "FULL_TRANSITIVE"}
        case ["POST", "subjects", subject, *_]:
            return _registered(subject.removeprefix(f"{NAMESPACE}."))
        case _:
            return _NO_PATH


def _schema(schema_id: int) -> Answer:
    for name, versions in schema_ids().items():
        for version, known_id in versions.items():
            if known_id == schema_id:
                return 200, {"schema": json.dumps(raw_schema(name, version))}
    return _NO_SCHEMA


def _registered(name: str) -> Answer:
    versions = schema_ids().get(name)
    if versions is None:
        return _NO_PATH
    version = newest_version(name)
    schema = {"schema": json.dumps(raw_schema(name, version)), "subject": f"{NAMESPACE}.{name}"}
    return 200, {"id": versions[version], "version": version, **schema}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = answer(self.command, self.path.split("?")[0])
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_PUT = do_POST = handle_any  # noqa: N815  # the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name in the base class
        return


def registry_server(root: Path) -> Server:
    """Describe the registry as a server on a free port; start it with ``start``."""
    port = free_port()
    return Server(
        ServerCommand(
            name="schema registry",
            argv=[sys.executable, "-m", "ops.chaos.registry_server", str(port)],
            folder=new_run_folder(root, "registry"),
            port=port,
            answers=listens,
            start_within_s=15.0,
            stop_within_s=3.0,
        )
    )


if __name__ == "__main__":
    ThreadingHTTPServer((LOOPBACK, int(sys.argv[1])), _Handler).serve_forever()
