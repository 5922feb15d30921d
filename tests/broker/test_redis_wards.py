"""Wards against a real Redis: in step with the histories whatever is repeated, reordered, merged or lost."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
import redis as redis_sync
import redis.asyncio
from assessments import START, assessed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from schemas.patient_link import PatientLinked
from schemas.risk import Phenotype, RiskAssessed
from streams.adapters.redis_history import RedisHistory
from streams.adapters.redis_latest import patient_keys, wards_key
from streams.adapters.redis_scripts import Call
from streams.adapters.redis_ward_sets import WARDS_KEY, ward_keys
from streams.adapters.redis_wards import RedisWards
from streams.history import HistoryLimits, HistoryUnavailableError, history_point
from streams.history_encoding import encode_assessment, patient_digest
from streams.link import encode_link
from streams.worklist import Order, PatientRow, WardLimits

DAY = timedelta(days=1)


class Clock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = START + 2 * DAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def history(redis_url: str, clock: Clock) -> AsyncIterator[RedisHistory]:
    store = RedisHistory(redis_url, HistoryLimits(), clock)
    yield store
    await store.close()


@pytest.fixture
async def wards(redis_url: str, clock: Clock) -> AsyncIterator[RedisWards]:
    reads = RedisWards(redis_url, now=clock)
    yield reads
    await reads.close()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all examples of a test: what one of them closes is let go of in the next."""
    with asyncio.Runner() as runner:
        yield runner


def risk(
    number: int, score: float | None, patient: str = "P-1", ward: str = "W1", hour: float | None = None
) -> RiskAssessed:
    return replace(assessed(number, score, patient_id=patient, hour=hour), ward_id=ward, site_id="S")


async def keep(history: RedisHistory, *risks: RiskAssessed) -> None:
    await history.write([encode_assessment(each) for each in risks])


async def link(
    history: RedisHistory, prior: str, surviving: str, minute: int, *, undone: bool = False
) -> None:
    record = PatientLinked(
        prior_patient_id=prior,
        surviving_patient_id=surviving,
        linked_at=START + timedelta(minutes=minute),
        origin="adt-a40",
        actor="engine",
        is_undone=undone,
    )
    await history.link([encode_link(record)])


def names(rows: Sequence[PatientRow]) -> list[str]:
    return [row.patient_id for row in rows]


async def kept(server: redis.asyncio.Redis) -> object:
    """Everything in Redis, but for names, which are sealed anew each time: there, who has one."""
    found: dict[bytes, object] = {}
    for key in sorted(await server.keys()):
        kind = await server.type(key)
        if kind == b"zset":
            found[key] = await server.zrange(key, 0, -1, withscores=True)
        elif kind == b"set":
            found[key] = sorted(await server.smembers(key))
        else:
            fields = await server.hgetall(key)
            found[key] = sorted(fields) if key.endswith(b":names") else sorted(fields.items())
    return found


async def test_the_latest_state_of_a_patient(history: RedisHistory, wards: RedisWards) -> None:
    await keep(history, risk(1, 0.2), risk(2, 0.6), risk(3, None))
    row = await wards.latest("P-1")
    assert row is not None
    assert (row.probability, row.change, row.phenotype) == (0.6, 0.4, Phenotype.HIGH)
    assert row.last == history_point(risk(3, None))
    assert (row.ward_id, row.site_id) == ("W1", "S")
    assert await wards.latest("nobody") is None


async def test_a_ward_in_its_three_orders(history: RedisHistory, wards: RedisWards) -> None:
    await keep(history, risk(1, 0.9, "high", hour=1), risk(2, 0.1, "low", hour=2))
    await keep(history, risk(3, 0.1, "rising", hour=3), risk(4, 0.7, "rising", hour=4))
    await keep(history, risk(5, 0.4, "falling", hour=4), risk(6, 0.0, "falling", hour=5))
    await keep(history, risk(7, None, "unscored", hour=6))
    assert names(await wards.ward("W1", "risk")) == ["high", "rising", "low", "falling", "unscored"]
    assert names(await wards.ward("W1", "change"))[:2] == ["rising", "falling"]
    assert names(await wards.ward("W1", "age")) == ["unscored", "falling", "rising", "low", "high"]
    assert await wards.size("W1") == 5
    unscored = (await wards.ward("W1", "risk"))[-1]
    assert (unscored.probability, unscored.change, unscored.not_scored_reasons) == (
        None,
        None,
        ("LEAD_OFF:V3",),
    )


async def test_pages_follow_each_other_and_end(history: RedisHistory, wards: RedisWards) -> None:
    await keep(history, *(risk(n, n / 100, f"P-{n}", hour=1) for n in range(25)))
    pages = [await wards.ward("W1", "risk", limit=10, offset=at) for at in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [name for page in pages for name in names(page)] == [f"P-{n}" for n in reversed(range(25))]
    assert await wards.ward("W1", "risk", limit=0) == await wards.ward("W1", "risk", offset=-1) == []


async def test_a_patient_who_moves_leaves_the_old_ward(
    history: RedisHistory, wards: RedisWards, server: redis.asyncio.Redis
) -> None:
    await keep(history, risk(1, 0.2, ward="A"))
    await keep(history, risk(2, 0.6, ward="B"))
    assert (await wards.ward("A", "risk"), names(await wards.ward("B", "risk"))) == ([], ["P-1"])
    assert await server.smembers(wards_key("P-1")) == {b"B"}
    await keep(history, risk(0, 0.1, ward="C"))  # an older one comes late
    assert [await wards.size(ward) for ward in "ABC"] == [0, 1, 0]


async def test_an_ecg_that_names_no_ward_leaves_the_patient_where_it_was(
    history: RedisHistory, wards: RedisWards
) -> None:
    await keep(history, risk(1, 0.2, ward="A"), replace(risk(2, 0.3, ward=""), site_id=""))
    assert names(await wards.ward("A", "risk")) == ["P-1"]
    await keep(history, replace(risk(3, 0.3, "Q", ward=""), site_id=""))
    assert names(await wards.ward("", "risk")) == ["Q"]
    assert await wards.wards() == ["", "A"]


async def test_who_has_had_no_ecg_for_two_weeks_is_listed_no_longer(
    history: RedisHistory, wards: RedisWards, server: redis.asyncio.Redis, clock: Clock
) -> None:
    await keep(history, risk(1, 0.9, "gone", hour=0), risk(2, 0.1, "here", hour=24))
    clock.now = START + timedelta(hours=12) + 14 * DAY
    assert names(await wards.ward("W1", "risk")) == ["here"]
    assert await server.zcard(ward_keys("W1")[0]) == 1
    clock.now += DAY
    assert (await wards.size("W1"), await wards.wards()) == (0, [])
    row = await wards.latest("gone")  # the history goes on
    assert row is not None
    assert row.probability == 0.9


async def test_an_archive_lists_nobody_and_a_clock_that_runs_ahead_lists_nobody_for_good(
    history: RedisHistory, wards: RedisWards, clock: Clock
) -> None:
    await keep(history, risk(1, 0.9, "archive", hour=-24 * 365), risk(2, 0.9, "ahead", hour=24 * 365))
    assert names(await wards.ward("W1", "risk")) == ["ahead"]
    clock.now += 15 * DAY
    assert await wards.ward("W1", "risk") == []


async def test_a_ward_expires_with_its_last_patient(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await keep(history, risk(1, 0.9))
    for key in (*ward_keys("W1"), WARDS_KEY):
        assert 13 * 86_400 < await server.ttl(key) <= 14 * 86_400


RISKS = st.lists(
    st.builds(
        risk,
        st.integers(0, 5),
        st.none() | st.sampled_from([0.0, 0.25, 0.75]),
        st.sampled_from(["P", "Q"]),
        st.sampled_from(["", "A", "B"]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: (each.patient_id, each.ecg_id),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(risks=RISKS, seed=st.integers(0, 99))
def test_replays_and_reordering_end_in_the_same_state(
    redis_url: str, loop: asyncio.Runner, risks: list[RiskAssessed], seed: int
) -> None:
    shuffled = [*risks, *risks[: len(risks) // 2]]
    Random(seed).shuffle(shuffled)

    async def state_after(batches: Sequence[Sequence[RiskAssessed]]) -> object:
        clock = Clock()
        history = RedisHistory(redis_url, HistoryLimits(), clock)
        async with redis.asyncio.Redis.from_url(redis_url) as server:
            await server.flushall()
            for batch in batches:
                await keep(history, *batch)
            found = await kept(server)
        await history.close()
        return found

    async def both() -> None:
        at_once = await state_after([risks])
        one_by_one = await state_after([[each] for each in shuffled])
        # Of the names of wards the newest ECG ever seen there is kept: patients come and go.
        assert isinstance(at_once, dict)
        assert isinstance(one_by_one, dict)
        at_once.pop(WARDS_KEY.encode(), None)
        one_by_one.pop(WARDS_KEY.encode(), None)
        assert one_by_one == at_once

    loop.run(both())


async def test_a_corrected_acquisition_time_moves_the_patient_back(
    history: RedisHistory, wards: RedisWards
) -> None:
    await keep(history, risk(1, 0.2, ward="A", hour=1), risk(2, 0.6, ward="B", hour=2))
    await keep(history, risk(2, 0.6, ward="B", hour=0))
    assert names(await wards.ward("A", "risk")) == ["P-1"]
    assert await wards.ward("B", "risk") == []


async def test_merged_patients_are_listed_once_under_the_survivor(
    history: RedisHistory, wards: RedisWards
) -> None:
    await keep(
        history, risk(1, 0.2, "A", "W1"), risk(2, 0.7, "B", "W2", hour=3), risk(3, 0.5, "A", "W1", hour=9)
    )
    await link(history, "A", "B", 1)
    (row,) = await wards.ward("W1", "risk")
    assert (row.patient_id, row.identifiers, row.change) == ("B", ("B", "A"), -0.2)
    assert await wards.ward("W2", "risk") == []
    assert await wards.latest("A") == await wards.latest("B") == row
    await keep(history, risk(4, 0.9, "A", "W3", hour=11))  # still sent under the prior identifier
    assert names(await wards.ward("W3", "risk")) == ["B"]
    assert await wards.size("W1") == 0
    await link(history, "A", "B", 2, undone=True)
    assert (names(await wards.ward("W3", "risk")), names(await wards.ward("W2", "risk"))) == (["A"], ["B"])


async def test_a_merge_elsewhere_lists_who_was_left_behind(history: RedisHistory, wards: RedisWards) -> None:
    await keep(history, risk(1, 0.2, "A"), risk(2, 0.7, "B"), risk(3, 0.5, "C"))
    await link(history, "A", "B", 1)
    await link(history, "A", "C", 2)
    rows = {row.patient_id: set(row.identifiers) for row in await wards.ward("W1", "risk")}
    assert rows == {"B": {"B"}, "C": {"A", "C"}}


async def test_a_circle_of_merges_is_listed_once(history: RedisHistory, wards: RedisWards) -> None:
    await keep(history, risk(1, 0.2, "A"), risk(2, 0.7, "B"), risk(3, 0.5, "C"))
    for minute, (prior, surviving) in enumerate(itertools.pairwise("ABCA")):
        await link(history, prior, surviving, minute)
    for name in "ABC":
        await keep(history, risk(4, 0.4, name))
        assert [set(row.identifiers) for row in await wards.ward("W1", "risk")] == [{"A", "B", "C"}]


async def test_a_list_that_disagrees_with_the_points_is_put_right_by_reading_it(
    history: RedisHistory, wards: RedisWards, server: redis.asyncio.Redis
) -> None:
    await keep(history, *(risk(n, n / 10, f"P-{n}", hour=n) for n in range(5)))
    right = await wards.ward("W1", "risk", limit=3)
    by_risk, by_change, by_age, sealed = ward_keys("W1")
    await server.zadd(by_risk, {patient_digest("P-0"): 10**15})  # wrong rank
    await server.zadd(by_risk, {"0" * 32: 10**15 + 1})  # nobody
    await keep(history, risk(9, 0.3, "moved", ward="W2", hour=9))
    for key in (by_risk, by_change, by_age):
        await server.zadd(key, {patient_digest("moved"): 10**15 + 2})  # left the ward
    other_name = await server.hget(ward_keys("W2")[3], patient_digest("moved"))
    assert other_name is not None
    await server.hset(sealed, patient_digest("moved"), other_name)  # sealed for another ward
    assert await wards.ward("W1", "risk", limit=3) == right
    assert names(await wards.ward("W2", "risk")) == ["moved"]
    assert await server.zcard(by_risk) == await server.zcard(by_age) == 5


async def test_of_two_writers_at_once_the_one_that_knew_less_takes_nobody_off(
    history: RedisHistory, wards: RedisWards, redis_url: str, clock: Clock
) -> None:
    await keep(history, risk(1, 0.2, ward="B"))
    slow = RedisHistory(redis_url, now=clock)
    may_go_on, run = asyncio.Event(), slow._wards._run

    async def late(calls: Sequence[Call]) -> list[Any]:
        if calls:
            await may_go_on.wait()
        return await run(calls)

    slow._wards._run = late
    slower = asyncio.create_task(keep(slow, risk(2, 0.4, ward="A")))
    newest = None
    while newest != history_point(risk(2, 0.4)):  # until its points are kept, and only the lists are not
        row = await wards.latest("P-1")
        newest = row and row.last
    await keep(history, risk(3, 0.6, ward="B"))
    may_go_on.set()
    await slower
    await slow.close()
    assert [row.probability for row in await wards.ward("B", "risk")] == [0.6]
    assert await wards.ward("A", "risk") == []
    assert [await wards.size(ward) for ward in "AB"] == [0, 1]


async def test_a_lost_name_takes_the_row_off_until_the_next_ecg(
    history: RedisHistory, wards: RedisWards, server: redis.asyncio.Redis
) -> None:
    await keep(history, risk(1, 0.5))
    await server.delete(ward_keys("W1")[3])
    assert await wards.ward("W1", "risk") == []
    await keep(history, risk(1, 0.5))
    assert names(await wards.ward("W1", "risk")) == ["P-1"]


@pytest.mark.parametrize("n_done", range(6))  # note, two lists, name, forget
async def test_a_write_cut_short_anywhere_is_made_good_by_doing_it_again(
    history: RedisHistory, wards: RedisWards, n_done: int
) -> None:
    await keep(history, risk(1, 0.2, ward="A"))
    run = history._wards._run

    async def cut(calls: Sequence[Call]) -> list[Any]:
        if not calls:
            return []
        await run(calls[:n_done])
        raise HistoryUnavailableError("cut")

    history._wards._run = cut
    with pytest.raises(HistoryUnavailableError):
        await keep(history, risk(2, 0.6, ward="B"))
    history._wards._run = run
    await keep(history, risk(2, 0.6, ward="B"))
    assert (await wards.ward("A", "risk"), names(await wards.ward("B", "risk"))) == ([], ["P-1"])
    assert await wards.size("A") == 0


async def test_nothing_sent_to_redis_holds_the_patient_identifier(
    history: RedisHistory, wards: RedisWards, server: redis.asyncio.Redis
) -> None:
    async with server.monitor() as monitor:
        await keep(history, risk(1, 0.5, "MRN-4711"))
        assert names(await wards.ward("W1", "risk")) == ["MRN-4711"]
        await server.echo("end of test")
        seen = ""
        while "end of test" not in seen:
            seen += str(await monitor.next_command())
    assert "MRN-4711" not in seen


def test_the_keys_of_a_ward_share_a_cluster_slot() -> None:
    assert len({key_slot(key.encode()) for key in ward_keys("{Ü 7}")}) == 1
    assert key_slot(wards_key("P").encode()) == key_slot(wards_key("P").replace(":wards", ":points").encode())


async def test_without_redis_it_is_said_in_one_line() -> None:
    reads = RedisWards("redis://user:secret@127.0.0.1:1/0")
    with pytest.raises(HistoryUnavailableError, match=r"wards: Redis at 127\.0\.0\.1:1 does not serve"):
        await reads.ward("W1", "risk")
    await reads.close()


async def test_fifty_of_ten_thousand_patients_come_within_ten_milliseconds_without_a_scan(
    history: RedisHistory, wards: RedisWards, redis_url: str
) -> None:
    n_patients, batch = 10_000, 500
    for first in range(0, n_patients, batch):
        some = range(first, first + batch)
        await keep(
            history,
            *(risk(n, None if n % 9 == 0 else n % 1000 / 1000, f"P-{n}", hour=n / 1000) for n in some),
            *(risk(n_patients + n, n % 700 / 1000, f"P-{n}", hour=10 + n / 1000) for n in some if n % 2),
        )
    orders: tuple[Order, ...] = ("risk", "change", "age")
    for order in orders:
        await wards.ward("W1", order)  # teaches the server the scripts
    with redis_sync.Redis.from_url(redis_url) as asked:
        asked.config_resetstat()
        took_s = []
        for order, offset in itertools.product(orders, (0, 5000, 9000)):
            started_s = time.monotonic()
            rows = await wards.ward("W1", order, limit=50, offset=offset)
            took_s.append(time.monotonic() - started_s)
            assert len(set(names(rows))) == 50
        commands = asked.info("commandstats")
    # The quickest: what it costs, whatever else this machine was doing meanwhile.
    assert min(took_s) < 0.010
    assert not {name for name in commands if "scan" in name or name == "cmdstat_keys"}
    assert commands["cmdstat_evalsha"]["calls"] == 9 * (1 + 1 + 50)


@pytest.mark.parametrize(
    ("ward", "site", "most_bytes"), [("W1", "S", 200), ("CARDIOLOGY-7-NORTH", "A" * 20, 280)]
)
async def test_a_point_with_its_place_takes_the_memory_that_is_stated(
    redis_url: str, server: redis.asyncio.Redis, ward: str, site: str, most_bytes: int
) -> None:
    n_points = HistoryLimits().max_points
    history = RedisHistory(redis_url, HistoryLimits(), lambda: START + 40 * DAY)
    risks = [risk(n, None if n % 10 == 0 else 0.31, hour=n) for n in range(n_points)]
    await keep(history, *(replace(each, ward_id=ward, site_id=site) for each in risks))
    used = sum([await server.memory_usage(key, samples=0) or 0 for key in patient_keys("P-1")])
    await history.close()
    assert n_points * 100 < used < n_points * most_bytes


async def test_a_patient_on_a_ward_takes_less_than_a_kilobyte_of_its_lists(
    history: RedisHistory, server: redis.asyncio.Redis
) -> None:
    await keep(history, *(risk(n, 0.5, f"patient-{n:032}", hour=1) for n in range(1000)))
    used = sum([await server.memory_usage(key, samples=0) or 0 for key in ward_keys("W1")])
    assert 100_000 < used < 1_000_000


async def test_limits_are_those_that_are_given(redis_url: str, clock: Clock) -> None:
    limits = WardLimits(max_age=timedelta(hours=1))
    history = RedisHistory(redis_url, now=clock, wards=limits)
    reads = RedisWards(redis_url, limits, clock)
    await keep(history, risk(1, 0.1, "old", hour=46.9), risk(2, 0.1, "new", hour=47.1))
    assert names(await reads.ward("W1", "risk")) == ["new"]
    await history.close()
    await reads.close()
