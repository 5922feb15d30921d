"""A notice as a signed JSON document, posted to whoever listens.

::

    POST <url>
    Content-Type: application/json
    Idempotency-Key: <key>                    the same key is the same notice: act on it once
    Diastole-Signature: t=…,v1=…              see signature.py

2xx: taken. 408, 425, 429, 5xx or no answer: asked again, not before ``Retry-After``. All else: refused.
"""

import json
from dataclasses import dataclass

import httpx

from streams.deliver.channels.channel import key_of_end
from streams.deliver.channels.http_exchange import post, require_taken
from streams.deliver.channels.notice import Notice
from streams.deliver.channels.payload import payload_of
from streams.deliver.channels.secret_file import SecretFile
from streams.deliver.channels.signature import HEADER, sign


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChannel:
    """A :class:`~streams.deliver.channels.channel.RetractingChannel` over HTTP.

    Attributes
    ----------
    url : SecretFile or str
        Where to; a file where the URL itself is a secret.
    secret : SecretFile
        One secret a line; with two the receiver can change over from one to the other.
    with_patient : bool
        Whether the patient's identifier is sent.
    """

    name: str
    client: httpx.AsyncClient
    url: SecretFile | str
    secret: SecretFile
    with_patient: bool = False

    async def send(self, notice: Notice, key: str) -> None:
        """Post the notice; see :meth:`streams.deliver.channels.channel.Channel.send`."""
        payload = payload_of(notice, key, with_patient=self.with_patient)
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "diastole",
            "Idempotency-Key": key,
            HEADER: sign(body, self.secret.lines(), notice.now),
        }
        url = self.url if isinstance(self.url, str) else self.url.first()
        answer = await post(self.client, self.name, url, body, headers, notice.now)
        require_taken(answer, self.name)

    async def retract(self, notice: Notice, key: str) -> None:
        """Post that the alert is over (``"event": "alert.closed"``)."""
        await self.send(notice, key_of_end(key))
