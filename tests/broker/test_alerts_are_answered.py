"""Alerts through real ``deliver`` processes that are killed at each step: none is silently unanswered."""

import asyncio
from collections import Counter
from pathlib import Path

from care_site import HIGH, MEDIUM, crash, crashed, crashing_once, site_on, start
from deliver_process import deliver_server, write_routes
from notices import closed_of
from receivers import Reply

from ops.services import RunningBroker
from schemas.audit import CareVerb
from streams.deliver.life import UNANSWERED, LifeState


async def test_killed_at_each_step_no_alert_is_unanswered_and_none_is_told_twice_without_its_key(
    own_apache_broker: RunningBroker, tmp_path: Path
) -> None:
    async with site_on(own_apache_broker.bootstrap) as site:
        routes = write_routes(tmp_path / "routes", site.receiver.port)
        one = deliver_server(site.bootstrap, routes, tmp_path / "one")
        two = deliver_server(site.bootstrap, routes, tmp_path / "two")
        try:
            # While a notice is on its way, and one more raised while nobody is there to send it.
            site.answer = crashing_once(one, None, "/ward")
            await start(one)
            during = await site.raise_alert(MEDIUM)
            await site.until(lambda: len(site.receiver.requests) == 1)
            await crashed(one)
            assert site.verbs(during)[CareVerb.DELIVERED] == 0
            before = await site.raise_alert(MEDIUM)
            await start(one)
            await site.until_delivered(during)
            await site.until_delivered(before)
            assert Counter(site.told()) == {f"{during}:ward:0": 2, f"{before}:ward:0": 1}

            # After the act: it is not sent again. Taken by the receiver, not noted: again under its key.
            crash(one)
            await crashed(one)
            site.answer = crashing_once(one, Reply(), "/ward")
            await start(one)
            unnoted = await site.raise_alert(MEDIUM)
            await site.until(lambda: f"{unnoted}:ward:0" in site.told())
            await crashed(one)

            # Between the escalation and its notice.
            site.answer = crashing_once(one, None, "/senior")
            await start(one)
            await site.until_delivered(unnoted)
            escalated = await site.raise_alert(HIGH)
            await site.until(lambda: f"{escalated}:senior:1" in site.told())
            await crashed(one)
            assert site.verbs(escalated)[CareVerb.ESCALATED] == 1
            site.answer = lambda request: Reply()

            # Two share the alerts; one is killed and the other takes over what it held.
            await start(one, two)
            await site.until(lambda: ("senior", 1) in site.case(escalated).delivered)
            shared = [await site.raise_alert(MEDIUM) for _ in range(8)]
            await asyncio.gather(*map(site.until_delivered, shared))
            await crashed(two)
            orphaned = [await site.raise_alert(MEDIUM) for _ in range(8)]
            await asyncio.gather(*map(site.until_delivered, orphaned))

            for alert_id in site.raised:
                await site.acknowledge(alert_id)
            await asyncio.to_thread(one.stop)
        finally:
            one.stop()
            two.stop()

        sent = Counter(site.told())
        assert {key.split(":")[0] for key in sent} == set(site.raised), "no alert was silently unanswered"
        twice = {during: "ward:0", unnoted: "ward:0", escalated: "senior:1"}
        assert {key for key, n in sent.items() if n > 1} <= {f"{each}:{at}" for each, at in twice.items()}
        for alert_id in site.raised:
            assert site.case(alert_id).state is LifeState.ACKNOWLEDGED
            levels = 2 if alert_id == escalated else 1
            assert site.verbs(alert_id)[CareVerb.DELIVERED] == levels
        await site.assert_rebuilt()


async def test_the_ladder_climbs_until_somebody_answers_and_failing_channels_are_an_alarm(
    embedded_broker: RunningBroker, tmp_path: Path
) -> None:
    async with site_on(embedded_broker.bootstrap) as site:
        routes = write_routes(tmp_path / "routes", site.receiver.port)
        with deliver_server(site.bootstrap, routes, tmp_path / "one") as server:
            await start(server)
            nobody, answered = await site.raise_alert(HIGH), await site.raise_alert(HIGH)
            await site.until_delivered(answered)
            await site.acknowledge(answered)
            await site.until(lambda: ("senior", 1) in site.case(nobody).delivered)
            assert site.verbs(answered)[CareVerb.ESCALATED] == 0
            assert not any(key.startswith(f"{answered}:senior") for key in site.told())

            site.answer = lambda request: Reply(status=503)
            undelivered = await site.raise_alert(MEDIUM)
            await site.until(lambda: len(site.book.alarms) == 1)
            (alarm,) = site.book.alarms
            assert undelivered in alarm.source
            assert site.verbs(undelivered)[CareVerb.DELIVERY_FAILED] >= 2
            site.answer = lambda request: Reply()
            await site.until_delivered(undelivered)
            await site.until(lambda: not site.book.alarms)

            over = await site.raise_alert(HIGH)
            await site.until_delivered(over)
            await site.write(closed_of(site.case(over).alert))
            await site.until(lambda: site.case(over).state not in UNANSWERED)
            await site.assert_rebuilt()
        twice = [key for key, n in Counter(site.told()).items() if n > 1]
        assert all(key.startswith(undelivered) for key in twice)
