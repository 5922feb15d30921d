"""What a person does about deliveries in quarantine; each act is written before anything is shown."""

import uuid
from dataclasses import dataclass, replace
from typing import Any, Final

from schemas.errors import PoisonError
from schemas.identity import act_id
from schemas.invariants import MAX_TEXT_CHARS
from schemas.quarantine import QuarantineAct, QuarantineVerb
from streams.feeds.admission import Admission, Correction, Delivery, Ending, Readmits
from streams.feeds.quarantine.content import unwrapped, wrapped
from streams.feeds.quarantine.corrections import (
    SITE_ID,
    CorrectionError,
    checked,
    corrected,
    merged,
    read_back,
    written,
)
from streams.feeds.quarantine.finding import Wanted, entry_named, newest_first
from streams.feeds.quarantine.fold import Entry, Event, OutOfTurnError, State, require_turn
from streams.feeds.quarantine.packing import unpacked
from streams.feeds.quarantine.ports import HoldsContent, KnowsEntries
from streams.feeds.refusal import FeedRefusedError
from streams.feeds.sealing import Sealer
from streams.stage import UtcClock

#: Said in the audit of a replay that wrote nothing.
_WAS_THERE: Final = "it was on ecg.recorded.v1 already"


class ReasonMissingError(PoisonError):
    """An act that must say why does not."""

    code = "REASON_MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who acts, and where from (``command``, ``http``).

    Attributes
    ----------
    sites : tuple of str
        Only deliveries of these sites are there for them; empty: all are.
    """

    actor: str
    origin: str
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """One delivery with what names its patient.

    Attributes
    ----------
    correction : mapping
        What was corrected so far, the newest word on each field.
    delivery : Delivery or None
        As it came, with the corrections in its options; None once its content is no longer kept.
    """

    entry: Entry
    correction: Correction
    delivery: Delivery | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """What became of a replay: accepted with ``ecg_id``, or refused again.

    Attributes
    ----------
    is_earlier : bool
        It had been replayed before; nothing was done.
    was_there : bool
        The ECG was on ``ecg.recorded.v1`` already, under the patient with which it came then.
    left_out : tuple of str
        Corrected fields, of which the ECG there may have others. Names, not what they were corrected to.
    """

    entry: Entry
    ecg_id: str | None = None
    refusal: FeedRefusedError | None = None
    is_earlier: bool = False
    was_there: bool = False
    left_out: tuple[str, ...] = ()


class QuarantineDesk:
    """Lists, shows, corrects, replays and discards. Calls may overlap, here and in other processes.

    Every method reads what others wrote first, and may raise BrokerUnavailableError: try again. Those that
    take a name take an id or the beginning of one, and raise NotInQuarantineError.

    Parameters
    ----------
    sealer : Sealer or None
        Opens what the gateway sealed, and seals corrections; None where there is no key.
    """

    def __init__(
        self, log: KnowsEntries, content: HoldsContent, sealer: Sealer | None, now: UtcClock
    ) -> None:
        self._log = log
        self._content = content
        self._sealer = sealer
        self._now = now

    async def entries(self, wanted: Wanted) -> list[Entry]:
        """List entries, those received last first; names no patient, so it is no act."""
        await self._log.catch_up()
        return newest_first(self._log.entries.values(), wanted)

    async def show(self, name: str, by: By, reason: str = "") -> Shown:
        """Open a delivery, noting that it was shown.

        Raises
        ------
        SealError
            When the key that sealed it is not there.
        ContentGoneError, KeptContentError
            When its content is not whole.
        """
        entry = await self._entry(name, by)
        entry = await self._act(entry, QuarantineVerb.SHOWN, by, reason=reason)
        correction = self._correction(entry)
        delivery = await self._delivery(entry, correction) if entry.is_open else None
        return Shown(entry=entry, correction=correction, delivery=delivery)

    async def correct(self, name: str, correction: Correction, by: By, reason: str = "") -> Entry:
        """Say what is missing or wrong; takes effect when the delivery is replayed.

        Correcting what is corrected so already writes nothing.

        Raises
        ------
        CorrectionError
            When no ECG can have that.
        OutOfTurnError
            When the delivery was replayed or discarded.
        """
        given = checked(correction)
        if by.sites and given.get(SITE_ID, by.sites[0]) not in by.sites:
            raise CorrectionError(f"{SITE_ID} must be one of your sites; ask somebody who may see that one")
        entry = await self._entry(name, by)
        require_turn(entry, Event.CORRECTED)
        known = self._correction(entry)
        if {**known, **given} == known:
            return entry
        kept = wrapped(written(given), self._sealer, _context(entry))
        entry = await self._act(entry, QuarantineVerb.CORRECTED, by, reason=reason, correction=kept)
        if kept not in entry.corrections:  # replayed or discarded meanwhile, by somebody else
            require_turn(entry, Event.CORRECTED)
        return entry

    async def replay(self, name: str, by: By, gateway: Readmits) -> Replayed:
        """Offer a delivery, with its corrections, to the gateway once more.

        Accepted, its content is removed; refused, it stays with the new reason. A replay that was cut off is
        simply done again: the same delivery with the same corrections has the same ecg_id.

        Raises
        ------
        OutOfTurnError
            When it was discarded.
        RetriableError
            When nothing is known of what became of it: replay it again.
        SealError, ContentGoneError, KeptContentError
            When it cannot be opened.
        """
        entry = await self._entry(name, by)
        if entry.state is State.REPLAYED:
            await self._content.remove(entry)
            return Replayed(entry=entry, ecg_id=entry.ecg_id, is_earlier=True)
        _require_open(entry, Event.REPLAYED)
        used = self._correction(entry)
        outcome = await gateway.try_admit(await self._delivery(entry, used))
        if isinstance(outcome, FeedRefusedError):
            return await self._refused_again(entry, outcome, by)
        replayed = await self._accepted(entry, outcome, by)
        return replace(replayed, left_out=self._left_out(replayed, used))

    async def discard(self, name: str, reason: str, by: By) -> Entry:
        """Give a delivery up for good and remove its content. Again it changes nothing.

        Raises
        ------
        ReasonMissingError
            When no reason is given.
        OutOfTurnError
            When it was replayed.
        """
        if not reason.strip():
            raise ReasonMissingError("say why it is discarded; the reason is kept for good")
        entry = await self._entry(name, by)
        if entry.state is not State.DISCARDED:
            require_turn(entry, Event.DISCARDED)
            entry = await self._act(
                entry, QuarantineVerb.DISCARDED, by, occasion=str(entry.opening), reason=reason.strip()
            )
        if entry.state is State.REPLAYED:  # meanwhile, by somebody else
            require_turn(entry, Event.DISCARDED)
        if entry.state is State.DISCARDED:
            await self._content.remove(entry)
        return entry

    async def _entry(self, name: str, by: By) -> Entry:
        await self._log.catch_up()
        return entry_named(self._log.entries, name, by.sites)

    def _left_out(self, replayed: Replayed, used: Correction) -> tuple[str, ...]:
        """Name corrected fields that the ECG may lack: it was there, or they came during the replay."""
        known = self._correction(replayed.entry)
        return tuple(field for field in known if replayed.was_there or known.get(field) != used.get(field))

    async def _refused_again(self, entry: Entry, refusal: FeedRefusedError, by: By) -> Replayed:
        entry = await self._act(
            entry, QuarantineVerb.REFUSED_AGAIN, by, reason=str(refusal), code=refusal.reason.value
        )
        return Replayed(entry=entry, refusal=refusal)

    async def _accepted(self, entry: Entry, admission: Admission, by: By) -> Replayed:
        entry = await self._act(
            entry,
            QuarantineVerb.REPLAYED,
            by,
            occasion=f"{entry.opening}:{admission.ecg_id}",
            ecg_id=admission.ecg_id,
            reason=_WAS_THERE if admission.ending is Ending.REPEATED else "",
        )
        await self._content.remove(entry)
        return Replayed(entry=entry, ecg_id=admission.ecg_id, was_there=admission.ending is Ending.REPEATED)

    async def _act(
        self, entry: Entry, verb: QuarantineVerb, by: By, *, occasion: str = "", reason: str = "", **more: Any
    ) -> Entry:
        """Write an act and return the entry as it is then; on an occasion it is the same act each time."""
        quarantine_id = entry.quarantine_id
        deterministic = act_id(quarantine_id=quarantine_id, verb=verb.value, occasion=occasion)
        act = QuarantineAct(
            act_id=deterministic if occasion else str(uuid.uuid4()),
            quarantine_id=quarantine_id,
            verb=verb,
            actor=by.actor,
            acted_at=self._now(),
            origin=by.origin,
            reason=reason[:MAX_TEXT_CHARS],
            **more,
        )
        await self._log.append(act)
        await self._log.catch_up()
        return self._log.entries[quarantine_id]

    def _correction(self, entry: Entry) -> Correction:
        return merged(read_back(unwrapped(kept, self._sealer, _context(entry))) for kept in entry.corrections)

    async def _delivery(self, entry: Entry, correction: Correction) -> Delivery:
        delivery = unpacked(await self._content.read(entry))
        return replace(delivery, options=corrected(delivery.options, correction))


def _require_open(entry: Entry, event: Event) -> None:
    """Refuse what the table would take from a race that was won, but nobody may begin."""
    if not entry.is_open:
        raise OutOfTurnError(
            "cannot replay this delivery: it was discarded; it opens again when its source sends it again"
        )
    require_turn(entry, event)


def _context(entry: Entry) -> str:
    return f"{entry.quarantine_id}:correction"
