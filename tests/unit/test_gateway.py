import asyncio
from dataclasses import replace

import pytest
from feed_fakes import World, delivery_of, gateway_in
from feed_storm import ecg_id_of
from structlog.testing import capture_logs

from schemas.errors import ConfigurationError, InvalidRecordError, RetriableError
from schemas.identity import ecg_id
from streams.feeds.admission import Ending
from streams.feeds.feed_metrics import FeedMetrics
from streams.feeds.filing import Filed, digest_of
from streams.feeds.gateway import FeedBusyError, Gateway, is_of, named
from streams.feeds.in_flight import FlightLimits
from streams.feeds.producer import BrokerUnavailableError
from streams.feeds.read import read
from streams.feeds.refusal import FeedRefusedError, RefusalReason

SOON_S = 0.05
DEADLINE_S = 10.0


async def until(world: World, step: str, times: int = 1) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if world.steps.count(step) >= times:
                return
            await asyncio.sleep(0)  # lets the gateway run


async def test_an_ecg_is_acknowledged_after_each_step_in_its_order() -> None:
    world = World()
    admission = await gateway_in(world).admit(delivery_of())
    assert world.steps == ["read", "judge", "pseudonym", "survivor", "claim", "publish", "note"]
    assert (admission.ending, admission.ecg_id) == (Ending.ACCEPTED, ecg_id_of(0, run=0))
    assert admission.notes == ("looked at",)
    assert world.noted == [(admission, world.published[0])]


async def test_nothing_is_acknowledged_before_kafka_has_it() -> None:
    world = World()
    world.kafka.clear()
    admitting = asyncio.create_task(gateway_in(world).admit(delivery_of()))
    await until(world, "publish")
    assert not admitting.done()
    assert world.noted == []
    world.kafka.set()
    assert (await admitting).ending is Ending.ACCEPTED


async def test_what_is_there_is_not_written_again() -> None:
    world = World()
    gateway = gateway_in(world)
    first, second = await gateway.admit(delivery_of()), await gateway.admit(delivery_of())
    assert (first.ending, second.ending) == (Ending.ACCEPTED, Ending.REPEATED)
    assert first.ecg_id == second.ecg_id
    assert len(world.published) == 1


async def test_the_same_ecg_delivered_at_once_is_written_once() -> None:
    world = World()
    gateway = gateway_in(world)
    told = await asyncio.gather(*(gateway.admit(delivery_of()) for _ in range(8)))
    assert sorted(admission.ending for admission in told) == [Ending.ACCEPTED] + [Ending.REPEATED] * 7
    assert len(world.published) == 1


async def test_a_refusal_is_kept_with_its_reason_before_it_is_told() -> None:
    world = World(refuse_as=FeedRefusedError("names no patient", RefusalReason.NO_PATIENT))
    admission = await gateway_in(world).admit(delivery_of())
    assert world.steps == ["read", "keep", "note"]
    assert (admission.ending, admission.reason) == (Ending.QUARANTINED, RefusalReason.NO_PATIENT)
    assert admission.quarantine_id is not None
    assert "names no patient" in admission.message
    assert admission.quarantine_id in admission.message


async def test_a_record_that_breaks_a_rule_on_the_way_is_kept_too() -> None:
    world = World(pseudonyms={"S0": "x" * 1000})
    admission = await gateway_in(world).admit(delivery_of())
    assert (admission.ending, admission.reason) == (Ending.QUARANTINED, RefusalReason.INVALID_RECORD)
    world = World(refuse_as=InvalidRecordError("no ECG"))
    assert (await gateway_in(world).admit(delivery_of())).reason is RefusalReason.INVALID_RECORD


async def test_a_replay_that_is_refused_again_is_not_kept_again() -> None:
    world = World(refuse_as=FeedRefusedError("names no patient", RefusalReason.NO_PATIENT))
    refusal = await gateway_in(world).try_admit(delivery_of())
    assert isinstance(refusal, FeedRefusedError)
    assert world.steps == ["read"]


async def test_a_replay_that_is_accepted_is_on_kafka() -> None:
    world = World()
    admission = await gateway_in(world).try_admit(delivery_of())
    assert not isinstance(admission, FeedRefusedError)
    assert admission.ending is Ending.ACCEPTED
    assert len(world.published) == 1


async def test_a_kafka_that_fails_promises_nothing() -> None:
    world = World(fail_as=BrokerUnavailableError("send it again"))
    with pytest.raises(RetriableError, match="send it again"):
        await gateway_in(world).admit(delivery_of())
    assert world.unclear == {ecg_id_of(0, run=0)}
    assert world.noted == []


async def test_a_quarantine_that_fails_promises_nothing() -> None:
    world = World(fail_as=BrokerUnavailableError("send it again"), refuse_as=FeedRefusedError("damaged"))
    with pytest.raises(RetriableError):
        await gateway_in(world).admit(delivery_of())
    assert world.noted == []


async def test_a_sender_that_waited_its_time_is_told_and_its_ecg_still_ends_before_it_is_sent_again() -> None:
    world = World()
    world.kafka.clear()
    gateway = gateway_in(world, budget_s=SOON_S)
    with pytest.raises(FeedBusyError, match="send it again"):
        await gateway.admit(delivery_of())
    assert gateway.n_in_flight == 1
    again = asyncio.create_task(sent_until_acknowledged(gateway))
    await until(world, "read", 2)
    world.kafka.set()
    assert await again is Ending.REPEATED
    assert len(world.published) == 1
    assert await gateway.drain(DEADLINE_S)


async def sent_until_acknowledged(gateway: Gateway) -> Ending:
    """Send again until it is acknowledged, as a cart does."""
    while True:
        try:
            return (await gateway.admit(delivery_of())).ending
        except FeedBusyError:
            continue


async def test_what_is_not_yet_on_its_way_to_kafka_is_cut_when_the_time_is_up() -> None:
    world = World()
    world.kafka.clear()
    gateway = gateway_in(world, budget_s=SOON_S, limits=FlightLimits(max_items=1))
    told = await asyncio.gather(
        gateway.admit(delivery_of(0)), gateway.admit(delivery_of(1)), return_exceptions=True
    )
    assert [type(error) for error in told] == [FeedBusyError, FeedBusyError]
    world.kafka.set()
    assert await gateway.drain(DEADLINE_S)
    assert [ecg.ecg_id for ecg in world.published] == [ecg_id_of(0, run=0)]


async def test_a_sender_that_leaves_does_not_take_its_write_along() -> None:
    world = World()
    world.kafka.clear()
    gateway = gateway_in(world)
    admitting = asyncio.create_task(gateway.admit(delivery_of()))
    await until(world, "publish")
    admitting.cancel()
    await asyncio.wait({admitting})
    world.kafka.set()
    assert await gateway.drain(DEADLINE_S)
    assert len(world.published) == 1
    assert world.unclear == set()


async def test_what_is_cut_at_the_end_is_unclear() -> None:
    world = World()
    world.kafka.clear()
    gateway = gateway_in(world)
    admitting = asyncio.create_task(gateway.admit(delivery_of()))
    await until(world, "publish")
    assert not await gateway.drain(SOON_S)
    await gateway.abandon()
    with pytest.raises(FeedBusyError):
        await admitting
    assert world.unclear == {ecg_id_of(0, run=0)}


@pytest.mark.parametrize("limits", [FlightLimits(max_items=3), FlightLimits(max_bytes=3 * 21_000)])
async def test_no_more_is_under_way_than_there_is_room_for(limits: FlightLimits) -> None:
    world = World()
    world.kafka.clear()
    gateway = gateway_in(world, limits=limits)
    admitting = [asyncio.create_task(gateway.admit(delivery_of(number))) for number in range(8)]
    await until(world, "publish", 3)
    assert gateway.n_in_flight == 3
    world.kafka.set()
    assert {(await admission).ending for admission in admitting} == {Ending.ACCEPTED}
    assert gateway.n_in_flight == 0


async def test_one_that_is_larger_than_all_the_room_gets_in_alone() -> None:
    world = World()
    gateway = gateway_in(world, limits=FlightLimits(max_bytes=1))
    told = await asyncio.gather(*(gateway.admit(delivery_of(number)) for number in range(3)))
    assert [admission.ending for admission in told] == [Ending.ACCEPTED] * 3


async def test_a_patient_is_known_by_pseudonym_and_by_whom_they_were_merged_into() -> None:
    world = World(pseudonyms={"S0": "P0"}, survivors={"P0": "P9"})
    admission = await gateway_in(world).admit(delivery_of(0))
    assert world.published[0].patient_id == "P9"
    assert admission.ecg_id == ecg_id_of(0, run=0), "the source's own UID names it whoever the patient is"


def test_without_a_uid_the_id_follows_the_pseudonym_and_no_merge() -> None:
    ecg = replace(read(delivery_of().document).ecg, source_uid="")
    by_pseudonym = ecg_id(source_uid="", patient_id="P0", acquired_at=ecg.acquired_at, samples=ecg.samples)
    merged = named(ecg, World(pseudonyms={"S0": "P0"}, survivors={"P0": "P9"}))
    assert (merged.patient_id, merged.ecg_id) == ("P9", by_pseudonym)
    unmerged = named(ecg, World(pseudonyms={"S0": "P0"}))
    assert (unmerged.patient_id, unmerged.ecg_id) == ("P0", by_pseudonym)


async def test_the_same_uid_under_another_patient_is_refused_and_kept() -> None:
    world = World(pseudonyms={"S0": "P0"})
    gateway = gateway_in(world)
    assert (await gateway.admit(delivery_of())).ending is Ending.ACCEPTED
    world.pseudonyms = {"S0": "P1"}
    admission = await gateway.admit(delivery_of())
    assert (admission.ending, admission.reason) == (Ending.QUARANTINED, RefusalReason.PATIENT_MISMATCH)
    assert "accepted under another patient; find out whose it is" in admission.message
    assert not {"S0", "P0", "P1"} & set(admission.message.replace(";", " ").split())
    refusal = await gateway.try_admit(delivery_of())
    assert isinstance(refusal, FeedRefusedError), "a replay changes nothing"
    assert len(world.published) == len(world.kept) == 1
    assert world.unclear == set()
    world.pseudonyms = {"S0": "P0"}
    corrected = await gateway.try_admit(delivery_of())
    assert not isinstance(corrected, FeedRefusedError)
    assert corrected.ending is Ending.REPEATED


@pytest.mark.parametrize("then", [{}, {"P0": "P9"}, {"P8": "P9", "P0": "P9"}])
@pytest.mark.parametrize("again_as", ["P0", "P9"])
async def test_merged_since_it_is_the_same_patients(then: dict[str, str], again_as: str) -> None:
    """Accepted under the prior identifier, sent again with it or with the surviving one."""
    world = World(pseudonyms={"S0": "P0"})
    gateway = gateway_in(world)
    await gateway.admit(delivery_of())
    world.survivors, world.pseudonyms = then, {"S0": again_as}
    is_same = again_as == "P0" or "P0" in then
    assert (await gateway.admit(delivery_of())).ending is (Ending.REPEATED if is_same else Ending.QUARANTINED)


async def test_once_a_merge_is_undone_what_was_accepted_under_the_survivor_is_anothers() -> None:
    world = World(survivors={"S0": "S9"})
    gateway = gateway_in(world)
    await gateway.admit(delivery_of())
    world.survivors = {}
    assert (await gateway.admit(delivery_of())).reason is RefusalReason.PATIENT_MISMATCH


async def test_what_was_accepted_before_there_was_a_key_is_a_repeat() -> None:
    world = World()
    gateway = gateway_in(world)
    await gateway.admit(delivery_of())
    world.pseudonyms = {"S0": "P0"}
    assert (await gateway.admit(delivery_of())).ending is Ending.REPEATED


def test_of_what_nobody_knows_whose_it_is_nothing_is_said() -> None:
    assert is_of(Filed(), "P0", "S0", World())
    assert not is_of(Filed(patient=digest_of("P1")), "P0", "S0", World())


async def test_deliveries_are_counted_by_how_they_ended() -> None:
    metrics, world = FeedMetrics("toy"), World()
    gateway = gateway_in(world, metrics=metrics)
    await gateway.admit(delivery_of())
    await gateway.admit(delivery_of())
    world.refuse_as = FeedRefusedError("damaged", RefusalReason.DAMAGED)
    await gateway.admit(delivery_of(1))
    world.refuse_as, world.fail_as = None, BrokerUnavailableError("later")
    with pytest.raises(RetriableError):
        await gateway.admit(delivery_of(2))
    counted = {
        (ending, reason): metrics.registry.get_sample_value(
            "diastole_feed_deliveries_total", {"feed": "toy", "ending": ending, "reason": reason}
        )
        for ending, reason in (
            ("ACCEPTED", ""),
            ("REPEATED", ""),
            ("QUARANTINED", "DAMAGED"),
            ("LATER", "BROKER_UNAVAILABLE"),
        )
    }
    assert set(counted.values()) == {1.0}
    seconds = metrics.registry.get_sample_value("diastole_feed_acknowledge_seconds_count", {"feed": "toy"})
    assert seconds == 4.0


async def test_no_log_line_names_the_patient() -> None:
    world = World()
    with capture_logs() as lines:
        await gateway_in(world).admit(delivery_of(3, expected_patient_id="S3"))
        world.refuse_as = FeedRefusedError("damaged")
        await gateway_in(world).admit(delivery_of(4, expected_patient_id="S4"))
    assert [line["event"] for line in lines] == ["delivery", "delivery"]
    assert "S3" not in str(lines)
    assert "Storm" not in str(lines)


async def test_a_wrong_setting_found_late_is_told_and_nothing_is_acknowledged() -> None:
    world = World(fail_as=ConfigurationError("no such registry"))
    with pytest.raises(ConfigurationError):
        await gateway_in(world).admit(delivery_of())
    assert world.noted == []
