"""Rules of the whole suite, and the servers that broker and chaos tests run against.

A test is marked by the folder it lies in. A full run must collect at least ``MINIMUM_TESTS``. With
``CI=true`` nothing may be skipped: there, a missing Apache Kafka or Redis is a failure. Only tests that need
a CUDA device are skipped wherever there is none.
"""

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
import structlog
import torch

from ops.services import RunningBroker, RunningRedis, has_apache_kafka, start_broker, start_redis

TESTS = Path(__file__).resolve().parent
KINDS = ("unit", "flow", "contract", "broker", "chaos", "browser")

#: Fewer means that a folder is no longer collected, not that tests were tidied up: raise it as the
#: suite grows, to about nine tenths of what a full run collects.
MINIMUM_TESTS = 7200

IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, so that nobody can forget to."""
    for item in items:
        kind = item.path.relative_to(TESTS).parts[0]
        if kind not in KINDS:
            raise pytest.UsageError(f"{item.path} lies in none of tests/{{{','.join(KINDS)}}}")
        item.add_marker(getattr(pytest.mark, kind))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a full run that collected suspiciously few tests."""
    option = session.config.option
    narrowed = option.keyword or option.markexpr or getattr(option, "deselect", None)
    full = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS and not narrowed
    if full and len(session.items) < MINIMUM_TESTS:
        raise pytest.UsageError(
            f"only {len(session.items)} tests collected, expected {MINIMUM_TESTS} or more"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything must be there."""
    report = yield
    may_skip = item.get_closest_marker("cuda") is not None or hasattr(report, "wasxfail")
    if IN_CI and report.skipped and not may_skip:
        report.outcome = "failed"
        why = call.excinfo.value if call.excinfo else "no reason"
        report.longrepr = f"skipped although CI=true: {why}"
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Forget what a command configured: its log goes to a stream that pytest closes with the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def services_root() -> Path:
    """Folder of all servers and of Kafka's jars, which are fetched once and kept."""
    return TESTS.parent / ".diastole"


@pytest.fixture
def embedded_broker(services_root: Path) -> Iterator[RunningBroker]:
    """Give a fresh, empty Tansu for this test alone; it starts in 30 ms."""
    with start_broker("embedded", services_root) as running:
        yield running
    shutil.rmtree(running.folder)


@pytest.fixture(scope="session")
def apache_broker(services_root: Path) -> Iterator[RunningBroker]:
    """Give the session's Apache Kafka; tests share it and must use topics and groups of their own."""
    if not has_apache_kafka():
        pytest.skip("Apache Kafka needs java and mvn on PATH")
    with start_broker("apache", services_root) as running:
        yield running


@pytest.fixture
def own_apache_broker(services_root: Path) -> Iterator[RunningBroker]:
    """Give an empty Apache Kafka to this test alone, to kill or to fill; it starts in 4 s."""
    if not has_apache_kafka():
        pytest.skip("Apache Kafka needs java and mvn on PATH")
    with start_broker("apache", services_root) as running:
        yield running


@pytest.fixture(params=["embedded", "apache"])
def broker(request: pytest.FixtureRequest) -> RunningBroker:
    """Run the test on both brokers: a fresh Tansu, and the session's Apache Kafka."""
    running = request.getfixturevalue(f"{request.param}_broker")
    assert isinstance(running, RunningBroker)
    return running


@pytest.fixture(scope="session")
def redis_running(services_root: Path) -> Iterator[RunningRedis]:
    """Give the session's Redis; a test that kills one starts its own."""
    with start_redis(services_root) as running:
        yield running


@pytest.fixture
def redis_url(redis_running: RunningRedis) -> str:
    """Address of an empty Redis."""
    with redis.Redis.from_url(redis_running.url) as client:
        client.flushall()
    return redis_running.url
