"""Answers, escalations, alarms and ends while ``api``, ``deliver``, ``alert`` and Kafka are killed around them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from api_process import api_server
from care_site import HIGH, MEDIUM, Site, crash, crashed, crashing_once, site_on, start
from deliver_process import deliver_server, write_routes
from receivers import Reply

from ops.services import RunningBroker
from ops.services.process import Server
from schemas.audit import CareVerb
from streams.api.tokens import Role, new_token
from streams.deliver.life import LifeState


@dataclass(frozen=True, kw_only=True)
class Nurse:
    """Acknowledges over HTTP, and does it again with the same key when no answer came."""

    api: Server
    token: str

    def request(self, alert_id: str) -> bytes:
        head = (
            f"POST /v1/alerts/{alert_id}/acknowledge HTTP/1.1",
            f"Host: 127.0.0.1:{self.api.port}",
            f"Authorization: Bearer {self.token}",
            f"Idempotency-Key: {alert_id}-once",
            "Content-Type: application/json",
            "Content-Length: 2",
        )
        return "\r\n".join([*head, "", "{}"]).encode()

    @asynccontextmanager
    async def asking(self, alert_id: str, *, n_missing: int = 0) -> AsyncIterator[None]:
        """Send the request, all but the last bytes, and never read an answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.api.port)
        request = self.request(alert_id)
        writer.write(request[: len(request) - n_missing])
        await writer.drain()
        try:
            yield
        finally:
            writer.transport.abort()

    async def acknowledge(self, alert_id: str) -> tuple[int, str]:
        async with self.client() as client:
            answer = await client.post(
                f"/v1/alerts/{alert_id}/acknowledge", headers={"Idempotency-Key": f"{alert_id}-once"}, json={}
            )
            return answer.status_code, answer.json().get("state", "")

    async def until_all_before_is_begun(self) -> None:
        """Return when the server answered a request that came after all others."""
        async with self.client() as client:
            assert (await client.get("/v1/card")).status_code == 200

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.api.port}", headers=headers, timeout=30)


async def test_an_acknowledgement_counts_once_or_the_ladder_goes_on(
    own_apache_broker: RunningBroker, redis_url: str, tmp_path: Path
) -> None:
    broker, tokens = own_apache_broker, tmp_path / "tokens.toml"
    token = new_token(tokens, "nurse", [Role.CLINICIAN])
    async with site_on(broker.bootstrap) as site:
        routes = write_routes(tmp_path / "routes", site.receiver.port)
        with (
            api_server(broker.bootstrap, redis_url, tokens, tmp_path / "api") as api,
            deliver_server(broker.bootstrap, routes, tmp_path / "deliver") as deliver,
        ):
            nurse = Nurse(api=api, token=token)
            await start(api, deliver)

            # Written, and both die before anybody is answered.
            written = await site.raise_alert(HIGH)
            await site.until_delivered(written)
            dying = site.at_the_moment(lambda: is_answered(site, written), lambda: crash(api, deliver))
            async with nurse.asking(written):
                await dying
            await crashed(api, deliver)
            await start(api, deliver)
            assert await nurse.acknowledge(written) == (200, "ACKNOWLEDGED")

            # Kafka is away: one act waits to be written, another was not even asked in full; then the API dies.
            unwritten, unasked = await site.raise_alert(HIGH), await site.raise_alert(HIGH)
            await asyncio.gather(site.until_delivered(unwritten), site.until_delivered(unasked))
            # A notice that was taken cannot be noted either: deliver waits, and does not send it again.
            site.answer = crashing_once(broker, Reply(), "/ward")
            unnoted = await site.raise_alert(MEDIUM)
            await site.until(lambda: f"{unnoted}:ward:0" in site.told())
            await crashed(broker)
            async with nurse.asking(unwritten), nurse.asking(unasked, n_missing=1):
                await nurse.until_all_before_is_begun()
                crash(api)
            await crashed(api)
            await start(broker)
            for alert_id in (unwritten, unasked):
                await site.until(lambda each=alert_id: ("senior", 1) in site.case(each).delivered)
                assert site.case(alert_id).is_open
            await site.until_delivered(unnoted)
            await start(api)
            for alert_id in site.raised:
                assert await nurse.acknowledge(alert_id) == (200, "ACKNOWLEDGED")

            assert Counter(site.told()) == {
                f"{written}:ward:0": 1,
                **{f"{each}:{at}": 1 for each in (unwritten, unasked) for at in ("ward:0", "senior:1")},
                f"{unnoted}:ward:0": 1,
            }
        acts = await site.acts_written()
        answers = Counter(act.alert_id for act in acts if act.verb is CareVerb.ACKNOWLEDGED)
        assert answers == dict.fromkeys(site.raised, 1)
        climbed = Counter(act.alert_id for act in acts if act.verb is CareVerb.ESCALATED)
        assert climbed == {unwritten: 1, unasked: 1}
        await site.assert_rebuilt()


def is_answered(site: Site, alert_id: str) -> bool:
    return site.case(alert_id).state is LifeState.ACKNOWLEDGED
