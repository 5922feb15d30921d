"""Who may do what: one row for each endpoint. What has no row here is not served at all.

The guard (:mod:`streams.api.auth`) looks a request up here before anything else sees it, so that a new
endpoint without a row answers 404, and a test that walks the application says so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from starlette.routing import compile_path

from streams.api.tokens import Role

#: What no person reads.
_FOR_PROGRAMS: Final = ("/v1/", "/healthz", "/readyz", "/openapi.json")


class Subject(StrEnum):
    """Whose data an endpoint gives away, and so what the caller's wards and sites are held against."""

    NOTHING = "NOTHING"  # nothing of a patient
    LISTING = "LISTING"  # of many: the endpoint leaves out what the caller must not see
    WARD = "WARD"  # {ward_id}
    PATIENT = "PATIENT"  # {patient_id}: the ward of the patient's newest ECG
    ALERT = "ALERT"  # {alert_id}: the ward it was raised in, or where the patient is now
    ECG = "ECG"  # {ecg_id}: the patient's, or the ward it was recorded in


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row.

    Attributes
    ----------
    path : str
        As FastAPI has it.
    role : Role or None
        The least that is needed; None is for everybody, without a token.
    """

    method: str
    path: str
    role: Role | None
    subject: Subject = Subject.NOTHING

    @property
    def is_page(self) -> bool:
        """Whether a person reads what it answers."""
        return not self.path.startswith(_FOR_PROGRAMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """A row and what its path's parameters are in a request."""

    rule: Rule
    parameters: Mapping[str, str]


_V, _C = Role.VIEWER, Role.CLINICIAN
_S = Subject
_PATIENT: Final = "/v1/patients/{patient_id:path}"
_ALERT: Final = "/v1/alerts/{alert_id}"
_WARD: Final = "/v1/wards/{ward_id:path}"

#: In the order in which paths are tried: names before parameters.
RULES: Final = tuple(
    Rule(method=method, path=path, role=role, subject=subject)
    for method, path, role, subject in (
        ("GET", "/healthz", None, _S.NOTHING),
        ("GET", "/readyz", None, _S.NOTHING),
        ("GET", "/openapi.json", _V, _S.NOTHING),
        ("GET", "/v1/me", _V, _S.NOTHING),
        ("GET", "/v1/card", _V, _S.NOTHING),
        ("GET", "/v1/feeds", _V, _S.LISTING),
        ("GET", "/v1/alarms", _V, _S.LISTING),
        # patients
        ("GET", f"{_PATIENT}/history", _V, _S.PATIENT),
        ("GET", f"{_PATIENT}/marks", _V, _S.PATIENT),
        ("GET", f"{_PATIENT}/latest", _V, _S.PATIENT),
        ("GET", f"{_PATIENT}/alerts", _V, _S.PATIENT),
        ("GET", "/v1/wards", _V, _S.LISTING),
        ("GET", f"{_WARD}/worklist", _V, _S.WARD),
        # alerts
        ("GET", "/v1/alerts", _V, _S.LISTING),
        ("GET", "/v1/alerts/events", _V, _S.LISTING),
        ("GET", _ALERT, _V, _S.ALERT),
        *(
            ("POST", f"{_ALERT}/{verb}", _C, _S.ALERT)
            for verb in ("acknowledge", "accept", "reject", "mute", "unmute", "outcome")
        ),
        ("GET", f"{_ALERT}/motion.svg", _V, _S.ALERT),
        ("GET", f"{_ALERT}/motion.png", _V, _S.ALERT),
        ("GET", "/v1/mutes", _V, _S.LISTING),
        ("POST", "/v1/mutes", _C, _S.LISTING),
        ("DELETE", "/v1/mutes", _C, _S.LISTING),
        ("GET", "/v1/ecgs/{ecg_id}/strip.svg", _V, _S.ECG),
        ("GET", "/v1/ecgs/{ecg_id}/strip.png", _V, _S.ECG),
        # pages
        ("GET", "/", _V, _S.LISTING),
        ("GET", "/alerts/{alert_id}", _V, _S.ALERT),
        ("POST", "/alerts/{alert_id}/answer", _C, _S.ALERT),
        ("GET", "/wards", _V, _S.LISTING),
        ("GET", "/wards/{ward_id:path}", _V, _S.WARD),
        ("GET", "/patients/{patient_id:path}", _V, _S.PATIENT),
        ("GET", "/mutes", _V, _S.LISTING),
        ("POST", "/mutes", _C, _S.LISTING),
        ("POST", "/mutes/end", _C, _S.LISTING),
        ("GET", "/feeds", _V, _S.LISTING),
        ("GET", "/model", _V, _S.NOTHING),
        ("GET", "/help", _V, _S.NOTHING),
        ("POST", "/theme", None, _S.NOTHING),
        ("GET", "/login", None, _S.NOTHING),
        ("POST", "/login", None, _S.NOTHING),
        ("POST", "/logout", _V, _S.NOTHING),
        ("GET", "/static/{path:path}", None, _S.NOTHING),
    )
)

#: Methods that change nothing.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Table:
    """Rows with their paths made ready to be compared with."""

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self.rules = tuple(rules)
        self._compiled: list[tuple[re.Pattern[str], Rule]] = [
            (compile_path(rule.path)[0], rule) for rule in self.rules
        ]

    def find(self, method: str, path: str) -> Matched | None:
        """Return the first row that fits; HEAD is what GET is."""
        asked = "GET" if method == "HEAD" else method
        for pattern, rule in self._compiled:
            found = pattern.match(path) if rule.method == asked else None
            if found is not None:
                return Matched(rule=rule, parameters=found.groupdict())
        return None

    def methods_of(self, path: str) -> tuple[str, ...]:
        """Methods with a row for this path; empty when there is nothing of that name."""
        return tuple(sorted({rule.method for pattern, rule in self._compiled if pattern.match(path)}))
