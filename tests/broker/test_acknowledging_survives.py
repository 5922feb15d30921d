"""``api``, ``deliver``, ``alert`` and Kafka are killed around answers, escalations, alarms and ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import httpx
from api_process import api_server
from assessments import assessed
from care_site import HIGH, MEDIUM, Site, crash, crashed, crashing_once, site_on, start
from deliver_process import deliver_server, write_routes
from notices import closed_of
from receivers import Reply, Request

from ops.services import RunningBroker
from ops.services.process import Server
from ops.services.waiting import ServiceError
from ops.worker_processes import worker_command
from schemas.audit import CareAction, CareVerb
from schemas.risk import RiskAssessed
from streams.api.tokens import Role, new_token
from streams.deliver.life import LifeState
from streams.stage import utc_now
from streams.topology import ECG_RISK


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
        routes = write_routes(tmp_path / "routes", site.receiver.port, 0.1)
        with (
            api_server(broker.bootstrap, redis_url, tokens, tmp_path / "api") as api,
            deliver_server(broker.bootstrap, routes, tmp_path / "deliver") as deliver,
        ):
            nurse = Nurse(api=api, token=token)
            await start(api, deliver)
            written = await site.raise_alert(HIGH)
            await site.until_delivered(written)

            # The API is killed as soon as Kafka has the act; whoever asked for it is not answered.
            dying = site.at_the_moment(lambda: is_answered(site, written), lambda: crash(api))
            async with nurse.asking(written):
                await dying
            await crashed(api)
            await start(api)
            assert await nurse.acknowledge(written) == (200, "ACKNOWLEDGED")

            # Kafka dies after a notice was taken, before that is noted: deliver waits and does not repeat it.
            unwritten, unasked = await site.raise_alert(HIGH), await site.raise_alert(HIGH)
            await asyncio.gather(site.until_delivered(unwritten), site.until_delivered(unasked))
            site.answer = crashing_once(broker, Reply(), "/ward")
            unnoted = await site.raise_alert(MEDIUM)
            await site.until(lambda: f"{unnoted}:ward:0" in site.told())
            await crashed(broker)
            # Then the API, while one act waits to be written and another was not even asked for in full.
            async with nurse.asking(unwritten), nurse.asking(unasked, n_missing=1):
                await nurse.until_all_before_is_begun()
                crash(api)
            await crashed(api)
            await start(broker)
            starting = asyncio.create_task(start(api))
            for alert_id in (unwritten, unasked):
                await until_told(site, "senior", 1, alert_id)
                assert site.case(alert_id).is_open
            await site.until_delivered(unnoted)
            await starting
            for alert_id in site.raised:
                assert await nurse.acknowledge(alert_id) == (200, "ACKNOWLEDGED")

            assert Counter(site.told()) == {
                f"{written}:ward:0": 1,
                **{f"{each}:{at}": 1 for each in (unwritten, unasked) for at in ("ward:0", "senior:1")},
                f"{unnoted}:ward:0": 1,
            }
        acts = await site.acts_written()
        assert counted(acts, CareVerb.ACKNOWLEDGED) == dict.fromkeys(site.raised, 1)
        assert counted(acts, CareVerb.ESCALATED) == {unwritten: 1, unasked: 1}
        await site.assert_rebuilt()


async def test_alarms_escalations_and_ends_come_once_though_deliver_and_alert_are_killed(
    own_apache_broker: RunningBroker, services_root: Path, tmp_path: Path
) -> None:
    bootstrap = own_apache_broker.bootstrap
    async with site_on(bootstrap) as site:
        routes = write_routes(tmp_path / "routes", site.receiver.port)
        environment = {"DIASTOLE_BROKER": bootstrap, "DIASTOLE_HOME": str(tmp_path / "home")}
        with (
            Server(worker_command("alert", services_root, environment)) as stage,
            deliver_server(bootstrap, routes, tmp_path / "deliver") as deliver,
        ):
            await start(stage, deliver)
            over = await site.raise_alert(MEDIUM)
            await site.until_delivered(over)

            # Deliver dies when a channel failed as often as it may, before that is an alarm.
            site.answer = refusing_ward
            dying = site.at_the_moment(lambda: has_failed_twice(site), lambda: crash(deliver))
            failing = await site.raise_alert(MEDIUM)
            await dying
            assert not site.book.alarms
            # The alert stage dies as soon as its alert is on Kafka, before anybody could tell of it.
            dying = site.at_the_moment(lambda: len(site.book.book.cases) == 3, lambda: crash(stage))
            await site.write(high_risk(), ECG_RISK)
            await dying
            (staged,) = site.book.book.cases.keys() - {over, failing}
            await crashed(stage, deliver)

            # Deliver dies again when its alarm and the escalation are on Kafka, each before what follows.
            dying = site.at_the_moment(
                lambda: is_alarmed(site, failing) and site.verbs(staged)[CareVerb.ESCALATED] == 1,
                lambda: crash(deliver),
            )
            await asyncio.gather(start(stage), started_to_die(deliver))
            await dying
            await crashed(deliver)
            site.answer = lambda request: Reply()
            await start(deliver)
            await until_told(site, "senior", 1, staged)
            await site.until(
                lambda: all(("ward", 0) in site.case(each).delivered for each in (failing, staged))
            )
            await site.until(lambda: not site.book.alarms)

            # At last when a channel is told that an alert is over, before that is noted.
            site.answer = crashing_once(deliver, None, f"{over}:ward:0:end")
            await site.write(closed_of(site.case(over).alert))
            await site.until(lambda: f"{over}:ward:0:end" in site.told())
            await crashed(deliver)
            await asyncio.gather(*map(site.acknowledge, (failing, staged)))
            await start(deliver)
            await until_told(site, "ward/end", 0, over)

        told = Counter(site.told())
        assert told.pop(f"{over}:ward:0:end") == 2, "told again, under the same key"
        assert told.pop(f"{over}:ward:0") == 1
        assert told.pop(f"{staged}:senior:1") <= 2
        assert told.keys() == {f"{failing}:ward:0", f"{staged}:ward:0"}, "asked again, under the same key"
        alarms = Counter((each.alarm_id, each.ended_at is None) for each in await site.alarms_written())
        raised = {alarm_id for alarm_id, is_start in alarms if is_start}
        assert len(raised) >= 2
        assert alarms == dict.fromkeys(product(raised, (True, False)), 1), "each is raised once and ends once"
        acts = await site.acts_written()
        assert len({act.action_id for act in acts}) == len(acts), "each step is noted once"
        assert counted(acts, CareVerb.DELIVERED) == {over: 2, failing: 1, staged: 2}
        assert counted(acts, CareVerb.ESCALATED) == {staged: 1}
        assert len(site.book.book.cases) == 3, "the stage wrote its alert anew under the same id, if at all"
        await site.assert_rebuilt()


def high_risk() -> RiskAssessed:
    """Assess an ECG of a minute ago: the first of a patient, which decides alone."""
    acquired_at = utc_now() - timedelta(minutes=1)
    return replace(assessed(1, 0.95), acquired_at=acquired_at)


def refusing_ward(request: Request) -> Reply:
    return Reply(status=503 if request.path.endswith("/ward") else 200)


def has_failed_twice(site: Site) -> bool:
    return any(site.verbs(each)[CareVerb.DELIVERY_FAILED] == 2 for each in site.raised)


def is_alarmed(site: Site, alert_id: str) -> bool:
    return any(alert_id in alarm.source for alarm in site.book.alarms)


def is_answered(site: Site, alert_id: str) -> bool:
    return site.case(alert_id).state is LifeState.ACKNOWLEDGED


async def until_told(site: Site, channel: str, level: int, alert_id: str) -> None:
    await site.until(lambda: (channel, level) in site.case(alert_id).delivered)


async def started_to_die(server: Server) -> None:
    """Start what may be killed by its first work, before it could say that it is ready."""
    with suppress(ServiceError):
        await start(server)


def counted(acts: Iterable[CareAction], verb: CareVerb) -> Counter[str]:
    return Counter(act.alert_id for act in acts if act.verb is verb)
