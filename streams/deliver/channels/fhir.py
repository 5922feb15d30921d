"""A notice as a FHIR R4 transaction to a server, and what its answers mean.

A server answers a transaction as a whole: 200 with a Bundle of what became of each entry, or an
OperationOutcome. Of the latter only codes are told further: its texts may quote the patient.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import httpx
from fhir.resources.R4B.bundle import Bundle

from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError
from streams.deliver.channels.fhir_resources import over, told
from streams.deliver.channels.http_exchange import HttpAnswer, post, require_taken
from streams.deliver.channels.notice import Notice
from streams.deliver.channels.secret_file import SecretFile

_MEDIA_TYPE: Final = "application/fhir+json"

#: Issue types that pass (http://hl7.org/fhir/issue-type, "transient" and below it), and two writers at once.
_PASSING: Final = frozenset(
    {"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled", "conflict"}
)

#: An edit by somebody else at the same moment.
_CONFLICT: Final = 409

#: All of http://hl7.org/fhir/issue-type have fewer characters; anything longer is no code.
_MOST_CODE_CHARS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirChannel:
    """A :class:`~streams.deliver.channels.channel.RetractingChannel` to a FHIR server's base URL.

    Attributes
    ----------
    url : SecretFile or str
        Base URL; transactions are posted to it.
    token : SecretFile or None
        Bearer token; None where the server wants none.
    patient_system : str
        System of patients' identifiers in the server; "" sends them without one.
    """

    name: str
    client: httpx.AsyncClient
    url: SecretFile | str
    token: SecretFile | None = None
    patient_system: str = ""

    async def send(self, notice: Notice, key: str) -> None:
        """Create what is not there yet; see :meth:`streams.deliver.channels.channel.Channel.send`."""
        await self._post(told(notice, key, self.patient_system), notice)

    async def retract(self, notice: Notice, key: str) -> None:
        """Make the alert's flag inactive; one that is already stays as it is."""
        await self._post(over(notice, self.patient_system), notice)

    async def _post(self, bundle: Bundle, notice: Notice) -> None:
        headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE, "User-Agent": "diastole"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.first()}"
        url = self.url if isinstance(self.url, str) else self.url.first()
        body = bundle.model_dump_json(exclude_none=True).encode()
        answer = await post(self.client, self.name, url, body, headers, notice.now)
        _require_done(answer, self.name)


def _require_done(answer: HttpAnswer, channel: str) -> None:
    content = _json_of(answer.body)
    if answer.is_success:
        _require_each_done(content, channel)
        return
    codes = issue_codes(content)
    if answer.status == _CONFLICT or (codes and codes <= _PASSING):
        raise ChannelRetryError(
            f"{channel} answered {answer.status} ({_listed(codes)}); it is asked again later",
            retry_after_s=answer.retry_after_s,
        )
    if codes and not answer.is_for_later:
        raise ChannelRefusedError(f"{channel} refused with {answer.status} ({_listed(codes)}); see its log")
    require_taken(answer, channel)


def _require_each_done(content: Any, channel: str) -> None:
    """Refuse a response in which an entry failed: some servers answer 200 all the same."""
    entries = content.get("entry") if isinstance(content, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        response = entry.get("response") if isinstance(entry, dict) else None
        status = response.get("status") if isinstance(response, dict) else None
        if isinstance(status, str) and not status.startswith("2"):
            raise ChannelRefusedError(f"{channel} answered {status[:3]} for an entry; see its log")


def issue_codes(content: Any) -> frozenset[str]:
    """Collect the issue types of an OperationOutcome; none when it is no such thing."""
    is_outcome = isinstance(content, dict) and content.get("resourceType") == "OperationOutcome"
    issues = content.get("issue") if is_outcome else None
    found = [
        issue.get("code") for issue in (issues if isinstance(issues, list) else ()) if isinstance(issue, dict)
    ]
    return frozenset(code for code in found if isinstance(code, str) and _is_code(code))


def _is_code(text: str) -> bool:
    return len(text) <= _MOST_CODE_CHARS and text.isascii() and text.replace("-", "").isalpha()


def _listed(codes: frozenset[str]) -> str:
    return ", ".join(sorted(codes)) or "no reason given"


def _json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
