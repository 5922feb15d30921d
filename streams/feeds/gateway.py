"""The gateway: from a delivery to an ECG on ``ecg.recorded.v1`` or a whole in quarantine, acknowledged last.

::

    room ─▶ read ─▶ plausible? ─▶ pseudonym ─▶ survivor ─▶ claim its id ─┬─▶ there already ─────▶ REPEATED
              └─▶ refused ───────────▶ keep whole ─▶ QUARANTINED         └─▶ publish, acknowledged ─▶ ACCEPTED

What is there already under another patient is refused: the id of an ECG with a UID does not tell whose it is.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from schemas.errors import DiastoleError, PoisonError, RetriableError
from schemas.identity import ecg_id
from schemas.recorded import EcgRecorded
from streams.feeds.admission import Admission, Delivery, Ending
from streams.feeds.feed_metrics import LATER, FeedMetrics
from streams.feeds.filing import Filed, digest_of
from streams.feeds.in_flight import FlightLimits, InFlight
from streams.feeds.ports import (
    KeepsRefused,
    KnowsRepeats,
    NamesPatients,
    Publishes,
    ReadsDocuments,
    WatchesFeeds,
)
from streams.feeds.refusal import FeedRefusedError, RefusalReason
from streams.stage import UtcClock, utc_now

log = structlog.get_logger()

ACCEPTED: Final = "accepted: Kafka has it; nothing more to do"
REPEATED: Final = "it was delivered before and is in Kafka once, as it came then; nothing more to do"
_OTHER_PATIENT: Final = (
    "the same ECG (same UID) was accepted under another patient; find out whose it is: if this one is wrong, "
    "correct the patient or discard it; if both are one patient, merge them and replay it; if the other one "
    "is wrong, have it exported with a UID of its own"
)

#: Refuses an ECG that cannot be true, by FeedRefusedError; what it takes only with a remark, it says.
Judges = Callable[[EcgRecorded, datetime], tuple[str, ...]]


class FeedBusyError(RetriableError):
    """Nothing could be promised in time; what was delivered may still be written, once."""

    code = "FEED_BUSY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the gateway works with; see :mod:`streams.feeds.ports`."""

    reads: ReadsDocuments
    judges: Judges
    names: NamesPatients
    repeats: KnowsRepeats
    publishes: Publishes
    keeps: KeepsRefused
    watches: WatchesFeeds


@dataclass(slots=True, eq=False)
class _Passage:
    """One delivery on its way: what is known of it so far.

    ``may_be_cut`` turns false when something of it is on its way to Kafka: from then on the sender may leave,
    but the passage ends by itself, so that its outcome is known before the same ECG is sent again.
    """

    delivery: Delivery
    may_be_cut: bool = True
    ecg: EcgRecorded | None = None
    notes: tuple[str, ...] = field(default=())


class Gateway:
    """Admits deliveries; an :class:`streams.feeds.admission.Admits` and :class:`~.admission.Readmits`.

    Parameters
    ----------
    ack_budget_s : float
        Longest time a sender waits, s.

    Attributes
    ----------
    ports : Ports
        What it works with.
    """

    def __init__(
        self,
        ports: Ports,
        metrics: FeedMetrics,
        *,
        ack_budget_s: float,
        limits: FlightLimits | None = None,
        now: UtcClock = utc_now,
    ) -> None:
        self.ports = ports
        self._metrics = metrics
        self._ack_budget_s = ack_budget_s
        self._room = InFlight(limits or FlightLimits(), metrics)
        self._now = now
        self._passing: set[asyncio.Task[Admission | FeedRefusedError]] = set()

    @property
    def n_in_flight(self) -> int:
        """Deliveries on their way, those whose senders have left among them."""
        return self._room.n_items

    async def admit(self, delivery: Delivery) -> Admission:
        """Take a delivery; see :meth:`streams.feeds.admission.Admits.admit`.

        Raises
        ------
        FeedBusyError
            When the time was up.
        RetriableError
            When Kafka, or a store of the gateway, does not serve.
        """
        began, passage = time.monotonic(), _Passage(delivery)
        try:
            admission = await self._within_budget(passage, is_kept=True)
        except DiastoleError as error:
            self._metrics.count(LATER, error.code)
            log.warning("delivery_put_off", feed=delivery.origin.feed, code=error.code, reason=str(error))
            raise
        finally:
            self._metrics.seconds.observe(time.monotonic() - began)
        if isinstance(admission, FeedRefusedError):
            raise AssertionError("a refusal was not kept")
        self._tell(passage, admission)
        return admission

    async def try_admit(self, delivery: Delivery) -> Admission | FeedRefusedError:
        """Take a delivery that is kept already; see :meth:`streams.feeds.admission.Readmits.try_admit`."""
        return await self._within_budget(_Passage(delivery), is_kept=False)

    async def abandon(self) -> None:
        """Cut what is on its way; whether it was written is not known then."""
        for passing in self._passing:
            passing.cancel()
        if self._passing:
            await asyncio.wait(self._passing)

    async def drain(self, budget_s: float) -> bool:
        """Wait for what is on its way, at most ``budget_s``; whether all of it ended."""
        try:
            async with asyncio.timeout(budget_s):
                await self._room.until_empty()
        except TimeoutError:
            return False
        return True

    async def _within_budget(self, passage: _Passage, *, is_kept: bool) -> Admission | FeedRefusedError:
        passing = asyncio.create_task(self._pass(passage, is_kept=is_kept))
        self._passing.add(passing)
        passing.add_done_callback(self._ended)
        try:
            await asyncio.wait({passing}, timeout=self._ack_budget_s)
        finally:
            if passage.may_be_cut:
                passing.cancel()
        if passing.done() and not passing.cancelled():
            return passing.result()
        raise FeedBusyError(
            f"not acknowledged by Kafka within {self._ack_budget_s:g} s; send it again: it is written once"
        )

    def _ended(self, passing: "asyncio.Task[Admission | FeedRefusedError]") -> None:
        self._passing.discard(passing)
        if not passing.cancelled() and (error := passing.exception()) is not None:
            # Its sender was told, or has left and sends again; here for the operator.
            log.debug("passage_ended", error=type(error).__name__)

    async def _pass(self, passage: _Passage, *, is_kept: bool) -> Admission | FeedRefusedError:
        async with self._room.entered(passage.delivery.document.n_bytes):
            try:
                return await self._take(passage)
            except PoisonError as error:
                refusal = _refusal(error)
                return await self._keep(passage, refusal) if is_kept else refusal

    async def _take(self, passage: _Passage) -> Admission:
        delivery, ports = passage.delivery, self.ports
        reading = await ports.reads.read(delivery.document, delivery.options)
        remarks = ports.judges(reading.ecg, self._now())
        ecg = named(reading.ecg, ports.names)
        passage.ecg, passage.notes = ecg, (*reading.notes, *remarks)
        async with ports.repeats.claim(ecg.ecg_id, ecg.patient_id) as filed:
            if filed is None:
                passage.may_be_cut = False
                await ports.publishes.publish(ecg)
        if filed is not None and not is_of(filed, ecg.patient_id, reading.ecg.patient_id, ports.names):
            raise FeedRefusedError(_OTHER_PATIENT, RefusalReason.PATIENT_MISMATCH)
        return Admission(
            ending=Ending.ACCEPTED if filed is None else Ending.REPEATED,
            message=ACCEPTED if filed is None else REPEATED,
            ecg_id=ecg.ecg_id,
            notes=passage.notes,
        )

    async def _keep(self, passage: _Passage, refusal: FeedRefusedError) -> Admission:
        passage.may_be_cut = False
        quarantine_id = await self.ports.keeps.keep(passage.delivery, refusal)
        return Admission(
            ending=Ending.QUARANTINED,
            message=f"{refusal}; kept in quarantine as {quarantine_id}, sending it again changes nothing",
            quarantine_id=quarantine_id,
            reason=refusal.reason,
            notes=passage.notes,
        )

    def _tell(self, passage: _Passage, admission: Admission) -> None:
        reason = admission.reason.value if admission.reason is not None else ""
        self._metrics.count(admission.ending.value, reason)
        self.ports.watches.note(passage.delivery, admission, passage.ecg)
        log.info(
            "delivery",
            feed=passage.delivery.origin.feed,
            source=passage.delivery.origin.source,
            ending=admission.ending.value,
            reason=reason,
            ecg_id=admission.ecg_id,
            quarantine_id=admission.quarantine_id,
        )


def _refusal(error: PoisonError) -> FeedRefusedError:
    if isinstance(error, FeedRefusedError):
        return error
    return FeedRefusedError(
        f"it breaks a rule of the record: {error}; correct it at its source", RefusalReason.INVALID_RECORD
    )


def named(ecg: EcgRecorded, names: NamesPatients) -> EcgRecorded:
    """File an ECG under the pseudonym of its patient, and that under whom the patient was merged into.

    The id follows the pseudonym where the source gave no UID, and never a merge: delivered again after a
    merge, an ECG is still a repeat.
    """
    pseudonym = names.pseudonym_of(ecg.patient_id)
    if pseudonym != ecg.patient_id:
        known_as = ecg_id(
            source_uid=ecg.source_uid,
            patient_id=pseudonym,
            acquired_at=ecg.acquired_at,
            samples=ecg.samples,
        )
        ecg = replace(ecg, patient_id=pseudonym, ecg_id=known_as)
    survivor = names.survivor_of(pseudonym)
    return ecg if survivor == pseudonym else replace(ecg, patient_id=survivor)


def is_of(filed: Filed, patient_id: str, site_patient_id: str, names: NamesPatients) -> bool:
    """Whether an ECG that is there is this patient's, under whatever identifier it came then.

    Parameters
    ----------
    patient_id : str
        As it leaves the gateway today.
    site_patient_id : str
        As the site writes it: without a key file, it was filed so.
    """
    if not filed.patient or filed.patient in (digest_of(patient_id), digest_of(site_patient_id)):
        return True
    return filed.patient in map(digest_of, names.identifiers_of(patient_id))
