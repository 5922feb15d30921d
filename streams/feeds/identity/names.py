"""The gateway's view of who its patients are: pseudonyms made, merges followed, merges told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from aiokafka.errors import KafkaError

from schemas.codec import Codec
from schemas.errors import PoisonError
from schemas.patient_link import PatientLinked
from streams.adapters.kafka_follower import TopicFollower, open_follower
from streams.envelope import envelope
from streams.feeds.identity.links import Links
from streams.feeds.identity.pseudonym import Pseudonyms
from streams.feeds.identity.table import FILE_NAME, IdentityTable
from streams.feeds.producer import BrokerUnavailableError, open_producer
from streams.feeds.publish import AcknowledgedProducer
from streams.feeds.sealing import PSEUDONYM, TABLE, Secret
from streams.feeds.settings import FeedSettings
from streams.settings import Settings
from streams.stage import UtcClock, utc_now
from streams.topology import PATIENT_LINK

log = structlog.get_logger()

#: Longest time a merge waits for the topic to be read to its end before it is told to come again.
_CATCH_UP_S: Final = 10.0

#: Longest time until Kafka acknowledges a merge: what an HL7 engine waits for an answer.
_TELL_S: Final = 30.0

#: A merge has some hundred bytes.
_REQUEST_BYTES: Final = 2**20

#: Longest time until a gateway that starts has read all merges ever told; 10⁵ of them take about 5 s.
_START_S: Final = 120.0


class Merges(Protocol):
    """Told that two identifiers are one patient, or are not after all. Identifiers are the site's."""

    async def merge(
        self, prior_patient_id: str, surviving_patient_id: str, *, origin: str, actor: str
    ) -> bool:
        """Link the prior identifier to the surviving one; False when that was known already.

        Returns once Kafka has acknowledged. Telling it again changes nothing.

        Parameters
        ----------
        origin, actor : str
            How it was told (``adt-a40``, ``command``), and by whom; both are written to Kafka.

        Raises
        ------
        MergeRefusedError
            When both are one identifier already, or the survivor was merged into the prior one.
        InvalidRecordError
            When an identifier is empty, overlong or not printable.
        RetriableError
            When Kafka did not answer; nothing can be said, tell it again.
        """
        ...

    async def unmerge(self, prior_patient_id: str, *, origin: str, actor: str) -> bool:
        """Undo the merge of an identifier; False when it was undone already; raises as :meth:`merge`."""
        ...


class Names:
    """Implements :class:`streams.feeds.ports.NamesPatients` and :class:`Merges`; see :func:`open_names`.

    Attributes
    ----------
    pseudonyms : Pseudonyms
        Names patients without keeping the way back.
    """

    def __init__(
        self,
        *,
        pseudonyms: Pseudonyms,
        table: IdentityTable | None,
        links: Links,
        follower: TopicFollower,
        producer: AcknowledgedProducer,
        codec: Codec,
        now: UtcClock,
    ) -> None:
        self.pseudonyms = pseudonyms
        self._table = table
        self._links = links
        self._follower = follower
        self._producer = producer
        self._codec = codec
        self._now = now
        self._one_at_a_time = asyncio.Lock()

    def pseudonym_of(self, patient_id: str) -> str:
        """Name a patient, and keep the way back where there is a key.

        Raises
        ------
        TableUnavailableError
            When the way back could not be kept.
        """
        pseudonym = self.pseudonyms.of(patient_id)
        if self._table is not None:
            self._table.remember(pseudonym, patient_id)
        return pseudonym

    def survivor_of(self, pseudonym: str) -> str:
        """Follow merges to the identifier in use today; itself when it was never merged."""
        return self._links.survivor_of(pseudonym)

    def family_of(self, pseudonym: str) -> tuple[PatientLinked, ...]:
        """Links among the identifiers of this patient, the oldest first."""
        return self._links.family_of(pseudonym)

    def identifiers_of(self, pseudonym: str) -> frozenset[str]:
        """All identifiers that are this patient today, itself among them."""
        return self._links.identifiers_of(pseudonym)

    async def merge(
        self, prior_patient_id: str, surviving_patient_id: str, *, origin: str, actor: str
    ) -> bool:
        """Link two of the site's identifiers; see :meth:`Merges.merge`."""
        prior, surviving = self.pseudonym_of(prior_patient_id), self.pseudonym_of(surviving_patient_id)
        async with self._one_at_a_time:
            await self._follower.catch_up(_CATCH_UP_S)
            record = self._links.merging(prior, surviving, now=self._now(), origin=origin, actor=actor)
            return await self._tell(record)

    async def unmerge(self, prior_patient_id: str, *, origin: str, actor: str) -> bool:
        """Undo a merge; see :meth:`Merges.unmerge`."""
        prior = self.pseudonym_of(prior_patient_id)
        async with self._one_at_a_time:
            await self._follower.catch_up(_CATCH_UP_S)
            return await self._tell(self._links.undoing(prior, now=self._now(), origin=origin, actor=actor))

    async def _tell(self, record: PatientLinked | None) -> bool:
        if record is None:
            return False
        headers = envelope(record, stage="identity", topic=PATIENT_LINK, incoming=(), now=self._now())
        try:
            async with asyncio.timeout(_TELL_S):
                await self._producer.send_and_wait(
                    PATIENT_LINK,
                    value=self._codec.encode(record),
                    key=record.prior_patient_id.encode(),
                    headers=list(headers),
                )
        except (KafkaError, TimeoutError) as error:
            raise BrokerUnavailableError(
                f"Kafka did not acknowledge the merge ({type(error).__name__}); tell it again"
            ) from error
        # Not left to the follower: the next ECG of this connection may be the survivor's first.
        self._links.enter(record)
        log.info("patients_linked", origin=record.origin, is_undone=record.is_undone)
        return True


@asynccontextmanager
async def open_names(
    settings: Settings, feed_settings: FeedSettings, codec: Codec, now: UtcClock = utc_now
) -> AsyncIterator[Names]:
    """Load the key, open the table, and read all merges; from then on they are followed.

    Raises
    ------
    ConfigurationError
        When the key file cannot be used, or the topic does not exist.
    TableUnavailableError, TopicBehindError, BrokerUnavailableError
        When the table, or Kafka, does not serve; trying again is harmless.
    """
    links = Links()

    def enter(message: Any) -> None:
        try:
            links.enter(codec.decode(message.value or b"", PatientLinked, headers=tuple(message.headers)))
        except PoisonError as error:
            log.warning(
                "link_unreadable", code=error.code, partition=message.partition, offset=message.offset
            )

    with ExitStack() as stack:
        pseudonyms, table = open_pseudonyms(settings, feed_settings)
        if table is not None:
            stack.enter_context(table)
        async with (
            open_follower(settings.kafka, PATIENT_LINK, enter, _START_S) as follower,
            open_producer(settings.kafka, max_request_bytes=_REQUEST_BYTES, budget_s=_TELL_S) as producer,
        ):
            yield Names(
                pseudonyms=pseudonyms,
                table=table,
                links=links,
                follower=follower,
                producer=producer,
                codec=codec,
                now=now,
            )


def open_pseudonyms(
    settings: Settings, feed_settings: FeedSettings
) -> tuple[Pseudonyms, IdentityTable | None]:
    """Make what names patients, and the table where there is a key; the caller closes it.

    Raises
    ------
    ConfigurationError, TableUnavailableError
        See :meth:`streams.feeds.sealing.Secret.load` and :class:`streams.feeds.identity.table.IdentityTable`.
    """
    if feed_settings.key_file is None:
        return Pseudonyms(None, feed_settings.id_domain), None
    secret = Secret.load(feed_settings.key_file)
    table = IdentityTable(table_path(settings), secret.sealer(TABLE))
    return Pseudonyms(secret.derive(PSEUDONYM), feed_settings.id_domain), table


def table_path(settings: Settings) -> Path:
    """Where the table lies."""
    return settings.home / "feeds" / FILE_NAME
