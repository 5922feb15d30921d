"""What people do about refused deliveries, over records and content in memory."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from quarantine_in_memory import NOW, MemoryGateway, MemoryQuarantine, delivery_of, dicom_of

from schemas.errors import RetriableError
from schemas.quarantine import EcgQuarantined, QuarantineAct, QuarantineVerb
from streams.feeds.admission import Admission, Correction, Delivery
from streams.feeds.quarantine.acts import By, QuarantineDesk, ReasonMissingError
from streams.feeds.quarantine.corrections import CorrectionError, checked, corrected, read_back, written
from streams.feeds.quarantine.finding import NotInQuarantineError, Wanted
from streams.feeds.quarantine.fold import OutOfTurnError, State
from streams.feeds.quarantine.gist import gist_of
from streams.feeds.quarantine.mending import MENDS, what_mends
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason
from streams.feeds.sealing import QUARANTINE, SealError, Secret

SEALER = Secret(bytes(32)).sealer(QUARANTINE)
BY = By(actor="engineer", origin="command")
NAMELESS = dicom_of("")


class Ward:
    """A quarantine with one nameless ECG in it."""

    def __init__(self) -> None:
        self.kept = MemoryQuarantine()
        self.gateway = MemoryGateway()
        self.desk = QuarantineDesk(self.kept, self.kept, SEALER, lambda: NOW)
        self.name = self.kept.keep(delivery_of(NAMELESS))

    def verbs(self) -> list[QuarantineVerb]:
        return [act.verb for act in self.kept.acts]


@pytest.fixture
def ward() -> Ward:
    return Ward()


async def test_an_unidentified_ecg_comes_in_once_its_patient_is_named(ward: Ward) -> None:
    entry = await ward.desk.correct(ward.name, {"patient_id": "4711"}, BY, "asked the ward")
    assert entry.state is State.CORRECTED
    replayed = await ward.desk.replay(ward.name, BY, ward.gateway)
    (ecg,) = ward.gateway.published.values()
    assert (ecg.patient_id, ecg.ecg_id) == ("4711", replayed.ecg_id)
    assert replayed.entry.state is State.REPLAYED
    assert ward.kept.content == {}
    assert ward.verbs() == [QuarantineVerb.CORRECTED, QuarantineVerb.REPLAYED]
    assert {(act.actor, act.origin, act.acted_at) for act in ward.kept.acts} == {("engineer", "command", NOW)}
    assert ward.kept.acts[0].reason == "asked the ward"


async def test_its_id_is_the_same_however_often_and_wherever_it_is_replayed(ward: Ward) -> None:
    ids = set()
    for _ in range(2):
        other = Ward()
        await other.desk.correct(other.name, {"patient_id": "4711"}, BY)
        ids.add((await other.desk.replay(other.name, BY, other.gateway)).ecg_id)
    assert len(ids) == 1


async def test_it_is_not_taken_in_without_a_patient_and_the_refusal_is_noted(ward: Ward) -> None:
    replayed = await ward.desk.replay(ward.name, BY, ward.gateway)
    assert replayed.refusal is not None
    assert replayed.entry.state is State.HELD
    assert ward.gateway.published == {}
    (act,) = ward.kept.acts
    assert (act.verb, act.code) == (QuarantineVerb.REFUSED_AGAIN, "NO_PATIENT")
    assert ward.name in ward.kept.content


async def test_a_correction_is_sealed_in_its_act(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "PATIENT-4711"}, BY)
    (act,) = ward.kept.acts
    assert b"4711" not in act.correction
    keyless = QuarantineDesk(ward.kept, ward.kept, None, lambda: NOW)
    with pytest.raises(SealError, match="DIASTOLE_FEED_KEY_FILE"):
        await keyless.show(ward.name, BY)


async def test_corrections_add_up_and_the_last_word_on_each_field_counts(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "1", "ward_id": "W1"}, BY)
    await ward.desk.correct(ward.name, {"patient_id": "2"}, BY)
    shown = await ward.desk.show(ward.name, BY)
    assert dict(shown.correction) == {"patient_id": "2", "ward_id": "W1"}
    assert shown.delivery is not None
    assert shown.delivery.options.corrected_patient_id == "2"


async def test_correcting_so_again_writes_nothing(ward: Ward) -> None:
    for _ in range(2):
        await ward.desk.correct(ward.name, {"patient_id": "1"}, BY)
    assert ward.verbs() == [QuarantineVerb.CORRECTED]


async def test_replaying_again_publishes_nothing_and_writes_nothing(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "4711"}, BY)
    first = await ward.desk.replay(ward.name, BY, ward.gateway)
    again = await ward.desk.replay(ward.name, BY, ward.gateway)
    assert (again.ecg_id, again.is_earlier) == (first.ecg_id, True)
    assert ward.verbs() == [QuarantineVerb.CORRECTED, QuarantineVerb.REPLAYED]


async def test_a_replay_cut_off_before_it_was_noted_is_finished_by_the_next(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "4711"}, BY)
    shown = await ward.desk.show(ward.name, BY)
    assert shown.delivery is not None
    await ward.gateway.try_admit(shown.delivery)
    replayed = await ward.desk.replay(ward.name, BY, ward.gateway)
    assert list(ward.gateway.published) == [replayed.ecg_id]
    assert replayed.entry.state is State.REPLAYED


async def test_a_replay_of_which_nothing_is_known_leaves_everything_as_it_was(ward: Ward) -> None:
    ward.gateway.fails.append(RetriableError("no broker"))
    with pytest.raises(RetriableError):
        await ward.desk.replay(ward.name, BY, ward.gateway)
    assert ward.verbs() == []
    assert ward.name in ward.kept.content


async def test_every_showing_is_noted_before_anything_is_shown(ward: Ward) -> None:
    ward.kept.content.clear()
    with pytest.raises(Exception, match="no longer there"):
        await ward.desk.show(ward.name, BY)
    assert ward.verbs() == [QuarantineVerb.SHOWN]


async def test_discarding_needs_a_reason_and_removes_the_content(ward: Ward) -> None:
    with pytest.raises(ReasonMissingError):
        await ward.desk.discard(ward.name, "  ", BY)
    entry = await ward.desk.discard(ward.name, "a test recording", BY)
    assert entry.state is State.DISCARDED
    assert ward.kept.content == {}
    await ward.desk.discard(ward.name, "once more", BY)
    assert [(act.verb, act.reason) for act in ward.kept.acts] == [
        (QuarantineVerb.DISCARDED, "a test recording")
    ]


async def test_what_was_discarded_is_neither_corrected_nor_replayed_but_still_shown(ward: Ward) -> None:
    await ward.desk.discard(ward.name, "a test recording", BY)
    with pytest.raises(OutOfTurnError, match="discarded"):
        await ward.desk.correct(ward.name, {"patient_id": "1"}, BY)
    with pytest.raises(OutOfTurnError, match="discarded"):
        await ward.desk.replay(ward.name, BY, ward.gateway)
    shown = await ward.desk.show(ward.name, BY)
    assert shown.delivery is None


async def test_what_was_replayed_is_not_discarded(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "4711"}, BY)
    await ward.desk.replay(ward.name, BY, ward.gateway)
    with pytest.raises(OutOfTurnError, match=r"on ecg\.recorded\.v1"):
        await ward.desk.discard(ward.name, "no longer needed", BY)


async def test_it_opens_anew_with_a_new_discard_to_come(ward: Ward) -> None:
    await ward.desk.discard(ward.name, "a test recording", BY)
    ward.kept.keep(delivery_of(NAMELESS))
    entry = await ward.desk.discard(ward.name, "still one", BY)
    assert (entry.opening, entry.state) == (2, State.DISCARDED)
    assert len({act.act_id for act in ward.kept.acts}) == 2


async def test_a_beginning_of_an_id_that_is_unique_is_enough(ward: Ward) -> None:
    assert (await ward.desk.show(ward.name[:8].upper(), BY)).entry.quarantine_id == ward.name
    with pytest.raises(NotInQuarantineError, match="diastole quarantine list"):
        await ward.desk.show("zz", BY)
    with pytest.raises(NotInQuarantineError):
        await ward.desk.show("", BY)
    names = {ward.name} | {ward.kept.keep(delivery_of(NAMELESS, source=f"s{n}")) for n in range(40)}
    shared = next(n[0] for n in names if sum(other[0] == n[0] for other in names) > 1)
    with pytest.raises(NotInQuarantineError, match="give more of it"):
        await ward.desk.show(shared, BY)


async def test_they_are_listed_newest_first_and_by_what_they_have_in_common(ward: Ward) -> None:
    newer = ward.kept.keep(delivery_of(NAMELESS, source="other"), NOW + timedelta(hours=1))
    broken = ward.kept.keep(delivery_of(b"no ECG"), NOW - timedelta(hours=1))

    async def listed(wanted: Wanted) -> list[str]:
        return [entry.quarantine_id for entry in await ward.desk.entries(wanted)]

    assert await listed(Wanted()) == [newer, ward.name, broken]
    assert await listed(Wanted(source="other")) == [newer]
    assert await listed(Wanted(code="DAMAGED")) == [broken]
    assert await listed(Wanted(since=NOW)) == [newer, ward.name]
    assert await listed(Wanted(site_id="south")) == []
    assert await listed(Wanted(feed="folder", states=frozenset({State.HELD}))) == [newer, ward.name, broken]
    assert ward.verbs() == []


@pytest.mark.parametrize(
    "correction",
    [
        {},
        {"patient_id": " "},
        {"colour": "crimson"},
        {"patient_id": "x" * 129},
        {"patient_id": "4711\x00"},
        {"timezone": "Europe/Atlantis"},
        {"timezone": "../../etc/passwd"},
        {"acquired_at": "yesterday"},
        {"ward_id": "w" * 257},
    ],
)
async def test_a_correction_that_no_ecg_can_have_is_refused_without_quoting_it(
    ward: Ward, correction: Correction
) -> None:
    with pytest.raises(CorrectionError) as caught:
        await ward.desk.correct(ward.name, correction, BY)
    assert not any(text.strip() and text in str(caught.value) for text in correction.values())
    assert ward.verbs() == []


def test_a_corrected_time_without_offset_is_local_to_the_corrected_zone() -> None:
    given = checked({"acquired_at": "2026-01-31T08:15:00", "timezone": "Europe/Rome"})
    options = corrected(ReadOptions(), read_back(written(given)))
    assert options.timezone == ZoneInfo("Europe/Rome")
    assert options.corrected_acquired_at is not None
    assert options.corrected_acquired_at.astimezone(UTC) == datetime(2026, 1, 31, 7, 15, tzinfo=UTC)


def test_what_is_no_correction_of_ours_is_not_read_back() -> None:
    for text in (b"", b"[]", b'{"patient_id": ""}'):
        with pytest.raises(CorrectionError):
            read_back(text)


async def test_what_can_be_read_of_a_nameless_ecg_is_told() -> None:
    gist = await gist_of(delivery_of(NAMELESS), MemoryGateway())
    assert (gist.code, gist.patient_id, gist.n_leads) == ("NO_PATIENT", "", 12)
    assert gist.acquired_at is not None
    assert gist.duration_s == pytest.approx(10.0)


async def test_both_names_of_an_ecg_whose_message_names_another_patient_are_told() -> None:
    mismatched = delivery_of(dicom_of("one"), expected_patient_id="another")
    gist = await gist_of(mismatched, MemoryGateway())
    assert (gist.code, gist.patient_id, gist.message_patient_id) == ("PATIENT_MISMATCH", "one", "another")


async def test_an_ecg_without_time_is_read_as_far_as_it_goes() -> None:
    timeless = dicom_of("", AcquisitionDateTime="", ContentDate="", ContentTime="")
    gist = await gist_of(delivery_of(timeless), MemoryGateway())
    assert gist.n_leads == 12
    assert gist.patient_id == ""
    assert gist.acquired_at is None


async def test_of_what_is_no_ecg_only_the_refusal_is_told() -> None:
    gist = await gist_of(delivery_of(b"no ECG"), MemoryGateway())
    assert (gist.code, gist.n_leads) == ("DAMAGED", 0)


async def test_with_its_correction_nothing_speaks_against_it() -> None:
    options = corrected(ReadOptions(), {"patient_id": "4711"})
    gist = await gist_of(replace(delivery_of(NAMELESS), options=options), MemoryGateway())
    assert (gist.code, gist.patient_id) == ("", "4711")


def test_every_reason_says_what_mends_it() -> None:
    assert MENDS.keys() == set(RefusalReason)
    assert "update Diastole" in what_mends("A_NEWER_ONE")


class Meanwhile(MemoryGateway):
    """Does something else while a delivery is on its way."""

    def __init__(self, other: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._other = other

    async def try_admit(self, delivery: Delivery) -> Admission | FeedRefusedError:
        outcome = await super().try_admit(delivery)
        await self._other()
        return outcome


async def test_a_replay_that_wrote_nothing_tells_what_may_be_otherwise(ward: Ward) -> None:
    """An ECG with a UID of its own keeps its id, whoever is named: it may be there under another patient."""
    other = delivery_of(dicom_of("4711"))
    assert isinstance(await ward.gateway.try_admit(other), Admission)
    await ward.desk.correct(ward.name, {"patient_id": "4712", "ward_id": "W3"}, BY)
    replayed = await ward.desk.replay(ward.name, BY, ward.gateway)
    assert (replayed.was_there, replayed.left_out) == (True, ("patient_id", "ward_id"))
    assert [ecg.patient_id for ecg in ward.gateway.published.values()] == ["4711"]
    assert ward.kept.acts[-1].reason == "it was on ecg.recorded.v1 already"


async def test_a_replay_that_wrote_all_leaves_nothing_to_check(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "4711"}, BY)
    replayed = await ward.desk.replay(ward.name, BY, ward.gateway)
    assert (replayed.was_there, replayed.left_out) == (False, ())


async def test_a_correction_during_a_replay_is_told_to_who_replays(ward: Ward) -> None:
    gateway = Meanwhile(lambda: ward.desk.correct(ward.name, {"patient_id": "4712"}, BY))
    await ward.desk.correct(ward.name, {"patient_id": "4711", "ward_id": "W3"}, BY)
    replayed = await ward.desk.replay(ward.name, BY, gateway)
    assert (replayed.was_there, replayed.left_out) == (False, ("patient_id",))


async def test_a_correction_that_came_after_a_replay_is_told_so(ward: Ward) -> None:
    await ward.desk.correct(ward.name, {"patient_id": "4711"}, BY)

    class Late(MemoryQuarantine):
        """Somebody's replay is written before the correction that began earlier."""

        async def append(self, record: EcgQuarantined | QuarantineAct) -> None:
            if isinstance(record, QuarantineAct) and record.verb is QuarantineVerb.CORRECTED:
                await ward.desk.replay(ward.name, BY, ward.gateway)
            await ward.kept.append(record)

    late = Late()
    late.records, late.entries = ward.kept.records, ward.kept.entries
    desk = QuarantineDesk(late, ward.kept, SEALER, lambda: NOW)
    with pytest.raises(OutOfTurnError, match="was replayed"):
        await desk.correct(ward.name, {"patient_id": "4712"}, BY)
    assert [ecg.patient_id for ecg in ward.gateway.published.values()] == ["4711"]


@pytest.mark.parametrize("sites", [("south",), ("south", "")])
async def test_who_may_see_other_sites_alone_can_do_nothing_here(ward: Ward, sites: tuple[str, ...]) -> None:
    stranger = replace(BY, sites=sites)
    for doing in (
        ward.desk.show(ward.name, stranger),
        ward.desk.correct(ward.name[:8], {"patient_id": "4711"}, stranger),
        ward.desk.replay(ward.name, stranger, ward.gateway),
        ward.desk.discard(ward.name, "junk", stranger),
    ):
        with pytest.raises(NotInQuarantineError):
            await doing
    assert await ward.desk.entries(Wanted(sites=sites)) == []
    assert ward.kept.acts == []


async def test_who_may_see_a_site_sends_nothing_out_of_sight(ward: Ward) -> None:
    own = replace(BY, sites=("north", "west"))
    assert [entry.quarantine_id for entry in await ward.desk.entries(Wanted(sites=own.sites))] == [ward.name]
    with pytest.raises(CorrectionError, match="one of your sites"):
        await ward.desk.correct(ward.name, {"site_id": "south"}, own)
    entry = await ward.desk.correct(ward.name, {"site_id": "west", "patient_id": "4711"}, own)
    assert entry.state is State.CORRECTED
    assert (await ward.desk.replay(ward.name, own, ward.gateway)).ecg_id is not None
