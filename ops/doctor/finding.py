"""What a check found: one line, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    check : str
        What was looked at.
    said : str
        What was found.
    do : str
        What to do; empty when all is well.
    is_configuration : bool
        Of a failure: somebody must change settings or a file before anything can start.
    """

    check: str
    verdict: Verdict
    said: str
    do: str = ""
    is_configuration: bool = False


def ok(check: str, said: str) -> Finding:
    """Say that all is well."""
    return Finding(check=check, verdict=Verdict.OK, said=said)


def warning(check: str, said: str, do: str) -> Finding:
    """Say that it works, and that somebody should know."""
    return Finding(check=check, verdict=Verdict.WARNING, said=said, do=do)


def failure(check: str, said: str, do: str, *, is_configuration: bool = False) -> Finding:
    """Say that it does not work, or will lose something."""
    return Finding(check=check, verdict=Verdict.FAILURE, said=said, do=do, is_configuration=is_configuration)


def exit_code(findings: Iterable[Finding]) -> int:
    """0: no failure; 1: a failure; 2: a failure of configuration, without which no other can be judged."""
    failures = [each for each in findings if each.verdict is Verdict.FAILURE]
    if any(each.is_configuration for each in failures):
        return 2
    return 1 if failures else 0
