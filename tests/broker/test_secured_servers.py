"""Apache Kafka and Redis with TLS, users and rules: each part gets by with its own rights, and needs each."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
import redis.asyncio
from aiokafka.admin import AIOKafkaAdminClient
from assessments import assessed
from certificates import Authority
from kafka_acls import taken, until_missing
from pydantic import SecretStr
from secured_site import ADMIN, BY_CERTIFICATE, SecuredSite, secured_site
from tiny_bundle import tiny_bundle_folder
from worker_process import WorkerProcess

from models.cohorts.simulated import Ward
from ops.access_rules import access_rules
from ops.services import has_apache_kafka
from ops.topic_reader import open_topic_reader
from schemas.alert import AlertRaised
from schemas.codec import Codec
from schemas.recorded import EcgRecorded
from schemas.registry import FileRegistry
from streams.access import KafkaAccess, client_options
from streams.adapters.kafka_follower import open_follower
from streams.adapters.kafka_groups import GroupsProbe
from streams.adapters.kafka_probe import BrokerUnreachableError, KafkaProbe
from streams.adapters.kafka_rights import RightMissingError, missing_rights
from streams.adapters.kafka_trouble import KafkaRefusesError, kafka_refusal
from streams.adapters.redis_store import RedisRefusesError
from streams.assembly import build_history, build_wards, build_waveforms
from streams.deliver.book import open_case_book
from streams.feeds.producer import open_producer
from streams.feeds.publish import open_publisher
from streams.feeds.quarantine.opening import open_quarantine
from streams.history import HistoryUnavailableError, history_point
from streams.rights import STAGE_REDIS_RIGHTS, route_rights, topic_right
from streams.settings import load_settings
from streams.stage import utc_now
from streams.topology import (
    ALL_ROUTES,
    ECG_ALERT,
    ECG_FEATURIZED,
    ECG_RECORDED,
    ECG_RISK,
    FEED_HEALTH,
    PATIENT_LINK,
    route_of,
)

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not has_apache_kafka(), reason="Apache Kafka needs java and mvn on PATH"),
]

CODEC = Codec(FileRegistry())
RULES = access_rules()
DEADLINE_S = 90.0


@pytest.fixture(scope="module")
def site(services_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredSite]:
    with secured_site(services_root, tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def connections_end_with_their_loop(site: SecuredSite) -> AsyncIterator[None]:
    """Let TLS say goodbye: the clients do not wait for it when Redis or Kafka refused them."""
    yield
    ports = {site.broker.port, site.mtls_port, site.redis.port}
    async with asyncio.timeout(10):
        while _connected(ports):  # noqa: ASYNC110  # a socket that is gone wakes nobody
            await asyncio.sleep(0)


def _connected(ports: set[int]) -> bool:
    return any(at.raddr and at.raddr.port in ports for at in psutil.Process().net_connections("tcp"))


@asynccontextmanager
async def kafka_as(access: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**client_options(access))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@pytest_asyncio.fixture
async def admin(site: SecuredSite) -> AsyncIterator[AIOKafkaAdminClient]:
    async with kafka_as(site.settings(ADMIN).kafka) as client:
        yield client


@pytest_asyncio.fixture
async def redis_admin(site: SecuredSite) -> AsyncIterator[redis.asyncio.Redis]:
    access = site.settings(ADMIN).redis
    async with redis.asyncio.Redis.from_url(access.url, **access.client_options()) as client:
        yield client


def test_stages_with_users_of_their_own_turn_an_ecg_into_a_history_and_an_alert(
    site: SecuredSite, tmp_path: Path
) -> None:
    bundle = tiny_bundle_folder(tmp_path / "bundle")
    ward = Ward(beds=1, seed=1, since=utc_now() - timedelta(days=1), fault_rate=0.0)
    first, second = (ward.record(0, utc_now() - timedelta(hours=hours)) for hours in (3, 2))
    with ExitStack() as stack:
        workers = {
            stage: stack.enter_context(
                WorkerProcess(stage, tmp_path, **_given(site, stage), bundle=bundle, retry_most_s=0.5)
            )
            for stage in ("featurize", "infer", "history", "alert")
        }
        for worker in workers.values():
            worker.until_ready()
        try:
            asyncio.run(_ends_in_a_history_and_an_alert(site, first))
        except TimeoutError:
            pytest.fail("".join(worker.output for worker in workers.values()))
        _tell_no_secret(site, workers)
        asyncio.run(_lose_a_right_and_get_it_back(site, workers["featurize"], first, second))
        for worker in workers.values():
            assert worker.terminate() == 0
        _tell_no_secret(site, workers)


def _given(site: SecuredSite, stage: str) -> dict[str, Any]:
    by_certificate = site.given_certificate(stage)
    return by_certificate if stage == BY_CERTIFICATE else site.given(stage)


async def _ends_in_a_history_and_an_alert(site: SecuredSite, ecg: EcgRecorded) -> None:
    """Publish as a feed, read as the pages do."""
    await _publish(site, ecg)
    async with open_producer(site.settings(ADMIN).kafka, max_request_bytes=2**20, budget_s=10) as producer:
        for number, probability in enumerate((0.1, 0.9, 0.9)):  # the second one confirms
            risk = assessed(number, probability, hour=number, patient_id="P-alert")
            await producer.send_and_wait(ECG_RISK, value=CODEC.encode(risk), key=b"P-alert", headers=[])
    await _until_known(site, ecg.patient_id, [ecg.ecg_id])
    reading = open_topic_reader(site.settings("api").kafka, [ECG_ALERT], CODEC, from_beginning=True)
    async with asyncio.timeout(DEADLINE_S), reading as reader:
        alerts: list[Any] = []
        while not alerts:
            arrived = [seen.record for seen in await reader.poll(1.0)]
            # The ward's own ECG may raise one too: its noise depends on the hour.
            alerts = [alert for alert in arrived if getattr(alert, "patient_id", "") == "P-alert"]
    assert [type(alert) for alert in alerts] == [AlertRaised]


async def _publish(site: SecuredSite, ecg: EcgRecorded) -> None:
    async with open_publisher(site.settings("feed-http").kafka, CODEC) as publisher:
        assert publisher.is_idempotent  # to write a topic is right enough for that
        await publisher.publish(ecg)


async def _until_known(site: SecuredSite, patient_id: str, ecg_ids: list[str]) -> None:
    history = build_history(site.settings("api"))
    try:
        async with asyncio.timeout(DEADLINE_S):
            known: list[str] = []
            while known != ecg_ids:
                known = [point.ecg_id for point in await history.read(patient_id)]
    finally:
        await history.close()


def _tell_no_secret(site: SecuredSite, workers: Mapping[str, WorkerProcess]) -> None:
    for stage, worker in workers.items():
        assert worker.lines("worker_starts"), worker.output  # it logs, so there is something to look through
        assert site.password(stage) not in worker.output
        if worker.pid is not None:
            words = Path(f"/proc/{worker.pid}/cmdline").read_text().split("\0")
            assert stage in words
            assert site.password(stage) not in words
            limits = Path(f"/proc/{worker.pid}/limits").read_text()
            assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)


async def _lose_a_right_and_get_it_back(
    site: SecuredSite, featurize: WorkerProcess, first: EcgRecorded, second: EcgRecorded
) -> None:
    right = topic_right(ECG_FEATURIZED, "Write")
    rights = route_rights(route_of("featurize"))
    async with (
        kafka_as(site.settings(ADMIN).kafka) as admin,
        kafka_as(site.settings("featurize").kafka) as asking,
    ):
        async with taken(admin, "User:featurize", right):
            await until_missing(asking, rights, right)
            await _publish(site, second)
            await asyncio.to_thread(featurize.until_held_up_by, "RIGHT_LOST")
            assert str(right) in featurize.lines("held_up")[-1]["reason"]
        await _until_known(site, second.patient_id, [first.ecg_id, second.ecg_id])


@pytest.mark.parametrize("stage", ALL_ROUTES)
async def test_a_stage_says_which_of_its_rights_is_missing(
    site: SecuredSite, admin: AIOKafkaAdminClient, stage: str
) -> None:
    access, route = site.settings(stage).kafka, route_of(stage)
    rights, mine = route_rights(route), f"User:{stage}"
    async with kafka_as(access) as asking, probing(access, route.group) as probe:
        await probe.require_rights(rights)
        for right in rights:
            async with taken(admin, mine, right):
                await until_missing(asking, rights, right)
                with pytest.raises(RightMissingError) as caught:
                    await probe.require_rights(rights)
            await until_missing(asking, rights)
            assert str(caught.value) == (
                f"no right to {right} for {mine}: grant it with kafka-acls --bootstrap-server "
                f'{site.broker.bootstrap} --add --allow-principal "{mine}" {right.options()}'
            )


async def test_no_stage_needs_the_rights_of_another(site: SecuredSite, admin: AIOKafkaAdminClient) -> None:
    async with AsyncExitStack() as opened:
        asking = {
            name: await opened.enter_async_context(kafka_as(site.settings(name).kafka)) for name in ALL_ROUTES
        }
        for kept in ALL_ROUTES:
            others = [name for name in ALL_ROUTES if name != kept]
            async with AsyncExitStack() as taking:
                without = (taken(admin, f"User:{name}", *RULES[name].kafka) for name in others)
                await asyncio.gather(*map(taking.enter_async_context, without))
                for name in others:
                    await until_missing(asking[name], RULES[name].kafka, *RULES[name].kafka)
                assert await missing_rights(asking[kept], RULES[kept].kafka) == ()


@asynccontextmanager
async def probing(access: KafkaAccess, group: str) -> AsyncIterator[KafkaProbe]:
    probe = KafkaProbe(access, group)
    try:
        yield probe
    finally:
        await probe.close()


async def test_a_worker_without_a_right_ends_at_its_start_and_names_it(
    site: SecuredSite, admin: AIOKafkaAdminClient, tmp_path: Path
) -> None:
    right = topic_right(ECG_FEATURIZED, "Write")
    rights = route_rights(route_of("featurize"))
    async with kafka_as(site.settings("featurize").kafka) as asking:
        async with taken(admin, "User:featurize", right):
            await until_missing(asking, rights, right)
            with WorkerProcess("featurize", tmp_path, **site.given("featurize")) as worker:
                assert await asyncio.to_thread(worker.ends) == 2
        await until_missing(asking, rights)
    [line] = worker.lines("cannot_start")
    assert line["code"] == "RIGHT_MISSING"
    assert str(right) in line["reason"]
    assert "User:featurize" in line["reason"]


async def test_who_shows_a_certificate_is_known_by_its_subject(site: SecuredSite) -> None:
    access = load_settings(**site.given_certificate(BY_CERTIFICATE)).kafka
    async with probing(access, route_of(BY_CERTIFICATE).group) as probe:
        await probe.require_rights(route_rights(route_of(BY_CERTIFICATE)))
        with pytest.raises(RightMissingError, match=r"Read on topic ecg\.recorded\.v1 for User:CN=infer"):
            await probe.require_rights([topic_right(ECG_RECORDED, "Read")])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": SecretStr("wrong")}, "it does not know user history with this password"),
        ({"user": "nobody"}, "it does not know user nobody with this password"),
        ({"ca_file": "other"}, "the certificate is not trusted"),
        ({"mechanism": "SCRAM-SHA-256"}, "it does not take SCRAM-SHA-256"),
        ({"security": "PLAINTEXT"}, "this port speaks TLS"),
        ({"security": "SASL_PLAINTEXT"}, "this port speaks TLS"),
        ({"security": "SSL", "port": "mtls"}, "the server does not accept our certificate"),
    ],
)
async def test_what_kafka_refuses_is_said_in_one_line(
    site: SecuredSite, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    changes = dict(changes)
    if changes.pop("port", None) == "mtls":
        changes["bootstrap"] = f"127.0.0.1:{site.mtls_port}"
    if "ca_file" in changes:
        changes["ca_file"] = Authority(tmp_path / "other", "Another authority").ca_file
    access = replace(site.settings("history").kafka, **changes)
    with pytest.raises(KafkaRefusesError) as caught:
        async with open_follower(access, ECG_RISK, lambda record: None):
            pass
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "DIASTOLE_" in str(caught.value)
    assert site.password("history") not in str(caught.value)


async def test_a_kafka_that_is_away_is_no_refusal(site: SecuredSite) -> None:
    gone = replace(site.settings("history").kafka, bootstrap="127.0.0.1:1")
    assert await kafka_refusal(gone) is None
    with pytest.raises(BrokerUnreachableError):
        async with probing(gone, "g") as probe:
            await probe.require_rights([])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"redis_password": "wrong", "redis_password_file": ""},
            "does not know user history with this password",
        ),
        ({"redis_user": "nobody"}, "does not know user nobody with this password"),
        ({"redis_user": "", "redis_password_file": ""}, "does not know the default user"),
        ({"redis_ca_file": "other"}, "the certificate is not trusted"),
    ],
)
async def test_what_redis_refuses_is_said_in_one_line(
    site: SecuredSite, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    if "redis_ca_file" in changes:
        changes = {"redis_ca_file": Authority(tmp_path / "other", "Another authority").ca_file}
    history = build_history(site.settings("history", **changes))
    with pytest.raises(RedisRefusesError, match=said) as caught:
        await history.require_usable()
    # While running it is waited for: a password may be changed on one side first.
    with pytest.raises(HistoryUnavailableError, match=said):
        await history.ping()
    await history.close()
    assert "\n" not in str(caught.value)
    assert "DIASTOLE_REDIS_" in str(caught.value)
    assert site.password("history") not in str(caught.value)


@pytest.mark.parametrize("stage", STAGE_REDIS_RIGHTS)
async def test_a_stage_says_which_command_redis_denies_it(
    site: SecuredSite, redis_admin: redis.asyncio.Redis, stage: str
) -> None:
    settings, rights = site.settings(stage), STAGE_REDIS_RIGHTS[stage]
    store = build_waveforms(settings) if stage == "waveform" else build_history(settings)
    await store.require_usable()
    for command in sorted(rights.commands | {"EVALSHA", "PING"}):
        await redis_admin.execute_command("ACL", "SETUSER", stage, f"-{command}")
        with pytest.raises(
            RedisRefusesError, match=rf"user {stage} has no right at Redis to run {command}: "
        ):
            await store.require_usable()
        await redis_admin.execute_command("ACL", "SETUSER", stage, f"+{command}")
    await redis_admin.execute_command("ACL", "SETUSER", stage, "resetkeys")
    with pytest.raises(RedisRefusesError, match=f"user {stage} has no right at Redis to its keys"):
        await store.require_usable()
    await redis_admin.execute_command("ACL", "SETUSER", stage, *(f"~{key}" for key in rights.keys))
    await store.require_usable()
    await store.close()


async def test_a_command_lost_while_running_is_waited_for_and_named(
    site: SecuredSite, redis_admin: redis.asyncio.Redis
) -> None:
    history = build_history(site.settings("history"))
    await redis_admin.execute_command("ACL", "SETUSER", "history", "-hset")
    with pytest.raises(HistoryUnavailableError, match="user history has no right at Redis to run HSET: "):
        await history.upsert([history_point(assessed(7, 0.5))])
    await redis_admin.execute_command("ACL", "SETUSER", "history", "+hset")
    await history.upsert([history_point(assessed(7, 0.5))])
    await history.close()


async def test_the_services_get_by_with_their_rights(site: SecuredSite) -> None:
    async with AsyncExitStack() as opened:
        for part in ("deliver", "api"):
            await opened.enter_async_context(open_case_book(site.settings(part).kafka, CODEC, writer=part))
        for part in ("feed-http", "feed-mllp"):
            access = site.settings(part).kafka
            await opened.enter_async_context(open_quarantine(access, CODEC))
            await opened.enter_async_context(open_follower(access, FEED_HEALTH, lambda record: None))
            await opened.enter_async_context(open_follower(access, PATIENT_LINK, lambda record: None))
            await opened.enter_async_context(open_follower(access, ECG_RECORDED, lambda record: None))
        watch = GroupsProbe(site.settings("watch").kafka)
        opened.push_async_callback(watch.close)
        looks = await watch.look(ALL_ROUTES.values(), utc_now())
        assert set(looks) == set(ALL_ROUTES)
    pages = site.settings("api")
    wards, waveforms = build_wards(pages), build_waveforms(pages)
    assert await wards.latest("P-nobody") is None
    assert await wards.ward("W1", "risk") is not None
    assert await wards.size("W1") >= 0
    assert isinstance(await wards.wards(), list)
    assert await waveforms.strip("no-such-ecg") is None  # noqa: B005  # no text is stripped
    await wards.close()
    await waveforms.close()


async def test_each_part_is_granted_what_the_table_says(site: SecuredSite) -> None:
    for name, part in RULES.items():
        async with kafka_as(site.settings(name).kafka) as asking:
            assert await missing_rights(asking, part.kafka) == ()


async def test_nobody_writes_results_but_the_stage_that_makes_them(site: SecuredSite) -> None:
    for topic, writer in ((ECG_RISK, "infer"), (ECG_FEATURIZED, "featurize")):
        right = topic_right(topic, "Write")
        for name in RULES:
            async with kafka_as(site.settings(name).kafka) as asking:
                assert (await missing_rights(asking, [right]) == ()) == (name in (writer, "operator")), name
