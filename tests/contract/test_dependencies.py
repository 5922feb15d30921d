"""What we depend on: pinned, installed as pinned, of bearable licences, audited for vulnerabilities."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ops.audit import audit, judged, main

ROOT = Path(__file__).resolve().parents[2]

#: Licences that would bind what links to them. The lesser one, which does not, is written out beforehand.
_BINDING: Final = ("GPL", "General Public License")
_NOT_BINDING: Final = ("LGPL", "Lesser General Public License", "GNU Lesser")

#: Why a package under one of these may be used all the same.
ALLOWED: Final[dict[str, str]] = {}

#: Packages that state no licence in their metadata, and what their own files say.
SILENT: Final = {
    "cuda-toolkit": "NVIDIA's licence, as all of CUDA; comes with torch on Linux",
    "verlib2": "Apache-2.0 or BSD, says the head of its modules; comes with grafana-client",
}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)


def needed(*extras: str) -> dict[str, Distribution]:
    """Every installed distribution that ours needs with these extras, and whatever those need."""
    found, seen = {}, set()
    waiting = [("diastole", extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform, say
        for requirement in map(Requirement, found[name].requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    del found["diastole"]
    return found


def licences(found: Distribution) -> list[str]:
    """What a distribution says of its licence; alternatives and classifiers each for itself."""
    stated = found.metadata
    classifiers = [each for each in stated.get_all("Classifier") or () if each.startswith("License ::")]
    # Some put the whole text into this field: its first line names it.
    named = (stated["License-Expression"] or stated["License"] or "").strip().split("\n")[0]
    return [*(each for each in named.split(" OR ") if each), *classifiers]


def binds(licence: str) -> bool:
    for lesser in _NOT_BINDING:
        licence = licence.replace(lesser, "")
    return any(sign in licence for sign in _BINDING)


def test_whatever_is_needed_is_pinned_and_runs_in_the_version_that_is_pinned() -> None:
    installed = {name: found.version for name, found in needed("dev", "tracing").items()}
    assert len(installed) > 100
    assert installed == {name: pins().get(name, "not pinned") for name in installed}


def test_each_direct_dependency_is_installed() -> None:
    direct = [Requirement(each) for each in distribution("diastole").requires or ()]
    missing = {canonicalize_name(each.name) for each in direct} - needed("dev", "tracing").keys()
    assert missing == set()


def test_nothing_we_run_on_has_a_licence_that_would_bind_us() -> None:
    running = needed("tracing")
    silent = {name for name, found in running.items() if not licences(found)}
    assert silent <= SILENT.keys()
    bound = {name for name, found in running.items() if licences(found) and all(map(binds, licences(found)))}
    assert bound == ALLOWED.keys()


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("GPL-3.0-or-later", True),
        ("License :: OSI Approved :: GNU General Public License v2 (GPLv2)", True),
        ("AGPL-3.0-only", True),
        ("LGPL-2.1-or-later", False),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MIT", False),
    ],
)
def test_licences_that_bind_are_told_from_those_that_do_not(licence: str, expected: bool) -> None:
    assert binds(licence) is expected


@contextmanager
def osv(vulnerable: dict[str, Any] | None = None, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """Answer as OSV does; gives its address and the packages it was asked for."""
    asked: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(f"{query['package']['name']}=={query['version']}")
            known = (vulnerable or {}).get(query["package"]["name"])
            body = json.dumps({"vulns": [known]} if known else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
        finally:
            server.shutdown()
            serving.join()


def planted(name: str) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}]
    affected = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"id": "PYSEC-0000-1", "summary": "planted", "affected": affected}


def test_a_known_vulnerability_of_a_pinned_version_fails_the_audit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with osv({"aiokafka": planted("aiokafka")}) as (url, asked):
        code = main(["--constraints", str(ROOT / "constraints.txt"), "--osv-url", url])
    printed = capsys.readouterr().out
    assert code == 1
    assert f"audit: aiokafka {pins()['aiokafka']} has PYSEC-0000-1; mended in 99.1" in printed
    assert len(printed.splitlines()) == 1
    assert set(asked) == {f"{name}=={version}" for name, version in pins().items()}


def test_an_audit_that_finds_nothing_passes_and_says_of_how_many(tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("numpy==2.4.0\nredis==6.0.0\n")
    with osv() as (url, asked):
        done = audit(few, 60.0, url)
    assert (done.failed, done.lines) == (False, ("audit: no known vulnerability in 2 packages",))
    assert len(asked) == 2


@pytest.mark.parametrize("status", [None, 503])
def test_a_service_that_does_not_answer_is_said_in_one_line_and_fails_nothing(
    status: int | None, tmp_path: Path
) -> None:
    few = tmp_path / "few.txt"
    few.write_text("numpy==2.4.0\n")
    with osv(status=status or 200) as (url, _):
        closed = "http://127.0.0.1:9/v1/query"  # discard: nothing listens there
        done = audit(few, 60.0, closed if status is None else url)
    assert not done.failed
    assert len(done.lines) == 1
    assert "NOT DONE, the vulnerability service does not answer" in done.lines[0]


def test_an_audit_of_what_is_no_list_of_pins_fails(tmp_path: Path) -> None:
    loose = tmp_path / "loose.txt"
    loose.write_text("numpy>=2\n")
    assert audit(loose, 60.0, "http://127.0.0.1:9/").failed
    assert judged("", "Traceback\nKeyError: 'x'").failed


def test_an_audit_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("numpy==2.4.0\n")
    done = audit(tmp_path / "few.txt", 0.001)
    assert not done.failed
    assert "not done within 0.001 s" in done.lines[0]
