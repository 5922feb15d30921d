"""The judgements: facts in, findings out; no I/O. Those of Kafka and Redis are in files of their own."""

from collections.abc import Iterator
from typing import Final

from ops.doctor.facts import Facts, FileFacts, HostFacts, Missed, RegistryFacts, SettingsFacts, SubjectFacts
from ops.doctor.finding import Finding, failure, ok, warning
from ops.doctor.kafka_checks import kafka_findings
from ops.doctor.redis_checks import redis_findings
from schemas.compatibility import full_incompatibilities
from schemas.registry import raw_schema, schema_ids

#: Of the home folder's disk: Kafka of a demo, logs and strips of a day fit into 5 GB; 0.5 GB is hours.
_LITTLE_BYTES: Final = 5 * 10**9
_TOO_LITTLE_BYTES: Final = 5 * 10**8

#: The bundle's HIGH and the policy's may differ by rounding.
_SAME_THRESHOLD: Final = 0.005

#: Clocks farther apart than this make alerts look late or early to people, s.
CLOCK_S: Final = 2.0
_CLOCK_FAILS_S: Final = 60.0
SET_CLOCKS: Final = "set the clocks of all machines by one NTP server (chrony or systemd-timesyncd)"


def findings(facts: Facts) -> list[Finding]:
    """Judge everything, in the order in which to mend it."""
    return [
        *settings_findings(facts.settings),
        *host_findings(facts.host),
        *(finding for each in facts.files for finding in file_findings(each)),
        *threshold_findings(facts),
        *kafka_findings(facts),
        *redis_findings(facts.redis),
        *registry_findings(facts.registry),
        *clock_findings(facts),
    ]


def settings_findings(settings: SettingsFacts) -> Iterator[Finding]:
    """Name settings that are wrong, and variables that are none."""
    for problem in settings.problems:
        yield failure("settings", problem, "change it in the environment", is_configuration=True)
    for name, meant in settings.unknown.items():
        do = f"did you mean {meant}?" if meant else "remove it; README.md lists every setting"
        yield warning("settings", f"{name} is no setting and has no effect", do)
    if not settings.problems and not settings.unknown:
        yield ok("settings", "every DIASTOLE_ variable is a setting and can be used")


def host_findings(host: HostFacts | None) -> Iterator[Finding]:
    """Judge the machine: programs, device, disk."""
    if host is None:
        return
    yield ok("release", f"diastole {host.app_version}, Python {host.python_version}")
    yield _device_finding(host)
    if host.home_problem is not None:
        yield failure(
            "home",
            f"{host.home}: {host.home_problem}",
            "give it to the user that runs Diastole, or set DIASTOLE_HOME to a folder that is",
            is_configuration=True,
        )
    elif host.free_bytes is not None:
        yield _disk_finding(host.home, host.free_bytes)


def _device_finding(host: HostFacts) -> Finding:
    if host.torch_version is None:
        return failure("device", "torch cannot be loaded", "install Diastole again, with its dependencies")
    seen = "a CUDA device" if host.has_cuda else "no CUDA device"
    said = f"torch {host.torch_version} sees {seen}; DIASTOLE_DEVICE is {host.device}"
    if host.device == "cuda" and not host.has_cuda:
        do = "mend the driver (nvidia-smi), or set DIASTOLE_DEVICE to auto"
        return failure("device", said, do, is_configuration=True)
    if host.device == "cpu" and host.has_cuda:
        return warning("device", said, "set DIASTOLE_DEVICE to auto to use it")
    return ok("device", said)


def _disk_finding(home: str, free_bytes: int) -> Finding:
    said = f"{home} can be written; {free_bytes / 10**9:.1f} GB are free"
    do = "free some space there, or set DIASTOLE_HOME to a larger disk"
    if free_bytes < _TOO_LITTLE_BYTES:
        return failure("home", said, do)
    return warning("home", said, do) if free_bytes < _LITTLE_BYTES else ok("home", said)


def file_findings(file: FileFacts) -> Iterator[Finding]:
    """Judge a bundle, a policy, routes or tokens."""
    if file.problem is not None:
        do = "correct it; nothing that needs it will start"
        yield failure(file.name, file.problem, do, is_configuration=True)
        return
    if not file.is_private:
        yield failure(file.name, f"{file.said}, which others on this machine may read", "close it: chmod 600")
        return
    yield ok(file.name, file.said)


def threshold_findings(facts: Facts) -> Iterator[Finding]:
    """Judge whether what is shown as HIGH is what is alerted as HIGH."""
    if facts.thresholds is None:
        return
    bundle, policy = facts.thresholds.bundle, facts.thresholds.policy
    said = f"the bundle says HIGH from {bundle:.4f}, the policy's alerts begin at {policy:.4f}"
    if abs(bundle - policy) <= _SAME_THRESHOLD:
        yield ok("thresholds", said)
    else:
        do = "set enter_threshold to the bundle's, unless the site means it so (see docs/upgrading.md)"
        yield warning("thresholds", said, do)


def registry_findings(registry: RegistryFacts | Missed | None) -> Iterator[Finding]:
    """Compare schemas: those of this release beside those registered."""
    if registry is None:
        yield ok("schemas", "the files of this release are the registry")
        return
    if isinstance(registry, Missed):
        yield failure(
            "schemas",
            registry.reason,
            "start the registry, or correct DIASTOLE_REGISTRY_URL; meanwhile workers wait and lose nothing",
            is_configuration=registry.is_configuration,
        )
        return
    troubles = [each for name, subject in registry.subjects.items() for each in _subject(name, subject)]
    yield from troubles
    if not troubles:
        n_subjects = len(registry.subjects)
        yield ok("schemas", f"{n_subjects} at the registry are those of this release, under the right rule")


def _subject(name: str, subject: SubjectFacts) -> Iterator[Finding]:
    if subject.latest is None:
        yield warning("schemas", f"{name} is not registered yet", "nothing: its first writer registers it")
        return
    versions = {number: raw_schema(name, number) for number in sorted(schema_ids()[name])}
    newest = versions[max(versions)]
    faults = full_incompatibilities(dict(subject.latest), newest)
    if faults:
        yield failure(
            "schemas",
            f"{name} at the registry cannot live beside this release's: {faults[0]}",
            "another program writes under our name: ask who registered it, and restore the released schema",
        )
    elif dict(subject.latest) != newest:
        is_older = dict(subject.latest) in versions.values()
        whose = "an older release's" if is_older else "a newer release's"
        do = "nothing: the next writer registers it" if is_older else "bring this machine to that release"
        yield warning("schemas", f"{name} at the registry is {whose}; both can be read", do)
    if subject.level != "FULL_TRANSITIVE":
        do = "nothing: a worker sets it when it registers, if it may; else set it to FULL_TRANSITIVE"
        yield warning("schemas", f"{name} may change by the rule {subject.level or 'of the registry'}", do)


def clock_findings(facts: Facts) -> Iterator[Finding]:
    """Compare clocks, as far as others tell theirs.

    Kafka has no question for its own; the times of its newest records speak for those who publish.
    """
    if facts.kafka is None:
        return  # the settings are wrong, so nobody was asked
    told: dict[str, tuple[float, float]] = {}
    if facts.redis is not None and not isinstance(facts.redis, Missed):
        told["Redis"] = facts.redis.clock_ahead_s, facts.redis.latency_ms / 2000
    if isinstance(facts.registry, RegistryFacts) and facts.registry.clock_ahead_s is not None:
        told["the schema registry"] = facts.registry.clock_ahead_s, 1.0
    for whose, (ahead_s, within_s) in told.items():
        yield _clock_finding(whose, ahead_s, within_s)
    if not told:
        yield warning("clock", "nobody was there to compare this machine's clock with", SET_CLOCKS)


def _clock_finding(whose: str, ahead_s: float, within_s: float) -> Finding:
    side = "ahead of" if ahead_s > 0 else "behind"
    said = f"the clock of {whose} is {abs(ahead_s):.2f} s {side} this machine's (± {within_s:.2f} s)"
    if abs(ahead_s) - within_s > _CLOCK_FAILS_S:
        return failure("clock", said, SET_CLOCKS)
    return warning("clock", said, SET_CLOCKS) if abs(ahead_s) - within_s > CLOCK_S else ok("clock", said)
