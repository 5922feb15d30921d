"""What the bundle in force and the one on trial said of the same ECGs, read from their two topics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.risk import RiskAssessed
from streams.access import Broker
from streams.adapters.backwards import open_backwards
from streams.topology import ECG_RISK, ECG_RISK_SILENT

#: Assessments lie on their topics about in the order their ECGs were published: urgent ones overtake, and a
#: worker that is started anew repeats some. Within this span what is sought may still come.
_OUT_OF_ORDER: Final = timedelta(hours=1)

Assessments = Mapping[str, RiskAssessed]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamPairs:
    """Assessments of the newest ECGs by two bundles; strips, motion and contributions are left out.

    Attributes
    ----------
    pairs : tuple of (RiskAssessed, RiskAssessed)
        By the bundle in force and by the one on trial, of one ECG each, in the order they were published.
    n_on_trial : int
        ECGs that the bundle on trial assessed, of the newest that were asked for; those without a
        counterpart are not among the pairs.
    """

    pairs: tuple[tuple[RiskAssessed, RiskAssessed], ...]
    n_on_trial: int


async def stream_pairs(broker: Broker, codec: Codec, *, last: int) -> StreamPairs:
    """Read the newest ECGs that the bundle on trial assessed, and what the bundle in force said of them.

    Where a topic holds several bundles' assessments, those of the one that scored last count. It joins no
    consumer group and changes nothing.

    Parameters
    ----------
    broker : str or KafkaAccess
        ``host:port[,host:port…]``.
    last : int
        At most so many ECGs, the newest by the time they were published.

    Raises
    ------
    TopicUnreadableError
        When no broker answers.
    ConfigurationError
        When a topic does not exist.
    """
    on_trial = newest(await _newest_on_trial(broker, codec, last), last)
    in_force = await _same_ecgs(broker, codec, on_trial) if on_trial else {}
    return StreamPairs(pairs=joined(in_force, on_trial), n_on_trial=len(on_trial))


def newest(assessments: Iterable[RiskAssessed], last: int) -> dict[str, RiskAssessed]:
    """Keep the newest ``last`` ECGs of the bundle that scored last, by ECG id and in order of publication."""
    of_one = _of_newest_bundle(assessments)
    ordered = sorted(of_one.values(), key=lambda risk: (risk.published_at, risk.ecg_id))
    return {risk.ecg_id: risk for risk in ordered[-last:]}


def joined(in_force: Assessments, on_trial: Assessments) -> tuple[tuple[RiskAssessed, RiskAssessed], ...]:
    """Pair what both assessed, in the order of ``on_trial``."""
    both = (ecg_id for ecg_id in on_trial if ecg_id in in_force)
    return tuple((in_force[ecg_id], on_trial[ecg_id]) for ecg_id in both)


def _of_newest_bundle(assessments: Iterable[RiskAssessed]) -> dict[str, RiskAssessed]:
    found = list(assessments)
    if not found:
        return {}
    sha256 = max(found, key=lambda risk: risk.assessed_at).bundle_sha256
    return {risk.ecg_id: risk for risk in found if risk.bundle_sha256 == sha256}


async def _newest_on_trial(broker: Broker, codec: Codec, last: int) -> list[RiskAssessed]:
    found: list[RiskAssessed] = []
    async with open_backwards(broker, ECG_RISK_SILENT, last) as windows:
        async for window in windows:
            # A window of `last` of each partition holds the newest `last` of them all, but for repeats.
            assessments = _decoded(window, codec)
            found += assessments
            of_one = _of_newest_bundle(found)
            if len(of_one) >= last or not of_one.keys() & {risk.ecg_id for risk in assessments}:
                break
    return found


async def _same_ecgs(broker: Broker, codec: Codec, on_trial: Assessments) -> dict[str, RiskAssessed]:
    found: list[RiskAssessed] = []
    since = min(risk.published_at for risk in on_trial.values()) - _OUT_OF_ORDER
    async with open_backwards(broker, ECG_RISK, len(on_trial)) as windows:
        async for window in windows:
            assessments = _decoded(window, codec)
            found += [risk for risk in assessments if risk.ecg_id in on_trial]
            if on_trial.keys() <= {risk.ecg_id for risk in found} or _is_before(window, since):
                break
    return _of_newest_bundle(found)


def _is_before(window: Iterable[Any], since: datetime) -> bool:
    """Whether each partition's records of this window begin before ``since``, by their Kafka timestamps."""
    since_ms = since.timestamp() * 1000
    first_ms: dict[int, int] = {}
    for record in window:
        first_ms.setdefault(record.partition, record.timestamp)
    return all(timestamp_ms < since_ms for timestamp_ms in first_ms.values())


def _decoded(window: Iterable[Any], codec: Codec) -> list[RiskAssessed]:
    assessments = []
    for record in window:
        try:
            risk = codec.decode(record.value or b"", RiskAssessed, headers=tuple(record.headers))
        except PoisonError:
            continue  # dead-lettered by who reads the topic for more than a look
        # Of 10 000 ECGs the arrays alone would take 40 MB.
        assessments.append(replace(risk, rhythm_strip_uv=None, motion=None, contributions=()))
    return assessments
