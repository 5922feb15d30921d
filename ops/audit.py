"""Ask for known vulnerabilities of every pinned version: ``python -m ops.audit``, or ``make audit``.

Exit code 1 says that one was found, or that nothing could be judged for a reason of our own. A service that
cannot be reached is said in one line and fails nothing: a network without it could build nothing otherwise.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Known vulnerabilities that may stay, by their id, and why: nothing of ours reaches what is wrong.
ACCEPTED: Final[Mapping[str, str]] = {}

#: In the last line of pip-audit's errors when its service did not answer, or refused to.
_UNANSWERED: Final = ("requests.exceptions.", "ConnectionError", "ServiceError", "blocking this service")

#: Longest wait for one answer of the service, s.
_ANSWER_S: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What came of it.

    Attributes
    ----------
    failed : bool
        Whether something was found, or nothing could be judged though the service was there.
    lines : tuple of str
        What to tell.
    """

    failed: bool
    lines: tuple[str, ...]


def audit(constraints: Path, within_s: float, osv_url: str | None = None) -> Audit:
    """Have pip-audit ask OSV for each pinned version; no package is fetched, none is installed.

    Parameters
    ----------
    within_s : float
        Longest time for the whole, s; not done by then is as not reached.
    osv_url : str, optional
        A service of one's own that answers as OSV's ``/v1/query``; default OSV itself.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            [sys.executable, "-m", "pip_audit", *_options(constraints, osv_url)],
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _not_asked(f"it was not done within {within_s:g} s")
    return judged(done.stdout, done.stderr)


def judged(report: str, errors: str) -> Audit:
    """Judge pip-audit by its report, by its last error where there is none.

    >>> judged("", "requests.exceptions.ConnectionError: no such host").failed
    False
    """
    if report.strip():
        return _found(json.loads(report)["dependencies"])
    last = errors.strip().rpartition("\n")[2]
    if any(sign in last for sign in _UNANSWERED):
        return _not_asked(f"the vulnerability service does not answer ({last.partition(':')[0]})")
    return Audit(failed=True, lines=(f"audit: pip-audit failed: {last}; run it by hand: make audit",))


def _options(constraints: Path, osv_url: str | None) -> list[str]:
    service = ["-s", "osv", *(["--osv-url", osv_url] if osv_url else [])]
    pinned = ["-r", str(constraints), "--no-deps", "--disable-pip", "--strict"]
    accepted = [word for known in ACCEPTED for word in ("--ignore-vuln", known)]
    return [
        *pinned,
        *accepted,
        *service,
        "-f",
        "json",
        "--progress-spinner",
        "off",
        "--timeout",
        str(_ANSWER_S),
    ]


def _not_asked(why: str) -> Audit:
    return Audit(failed=False, lines=(f"audit: NOT DONE, {why}; run `make audit` where it can be reached",))


def _found(dependencies: Sequence[Mapping[str, Any]]) -> Audit:
    lines = [
        f"audit: {each['name']} {each['version']} has {known['id']}; {_cure(known['fix_versions'])}"
        for each in dependencies
        for known in each.get("vulns", ())
    ]
    if lines:
        return Audit(failed=True, lines=tuple(lines))
    return Audit(failed=False, lines=(f"audit: no known vulnerability in {len(dependencies)} packages",))


def _cure(fixed: Sequence[str]) -> str:
    if not fixed:
        return "no version mends it: replace the package, or say in ops/audit.py why it can stay"
    return f"mended in {', '.join(fixed)}: raise it in pyproject.toml and run `make pins`"


def main(given: Sequence[str] | None = None) -> int:
    """Audit, print what came of it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.audit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--constraints", type=Path, default=Path("constraints.txt"))
    parser.add_argument("--within", type=float, default=300.0, help="longest time for the whole, s")
    parser.add_argument("--osv-url", help="a service that answers as OSV's /v1/query; default OSV")
    options = parser.parse_args(given)
    found = audit(options.constraints, options.within, options.osv_url)
    print(*found.lines, sep="\n")
    return int(found.failed)


if __name__ == "__main__":
    sys.exit(main())
