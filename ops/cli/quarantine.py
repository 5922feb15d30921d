"""``diastole quarantine``: what feeds could not accept, looked at, corrected, replayed or discarded."""

import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from ops.cli.actor import user_of_this_process
from ops.cli.console import err, out
from ops.cli.durations import parse_duration
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError, PoisonError
from streams.assembly import build_codec
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.settings import Settings
from streams.stage import utc_now

if TYPE_CHECKING:
    from streams.feeds.admission import Readmits
    from streams.feeds.document import Document
    from streams.feeds.quarantine.acts import By, QuarantineDesk
    from streams.feeds.quarantine.finding import Wanted
    from streams.feeds.quarantine.fold import Entry

app = typer.Typer(help="See, correct, replay or discard what feeds could not accept.", no_args_is_help=True)

T = TypeVar("T")

ORIGIN: Final = "command"

NameArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The delivery's id, or as much of its beginning as is unique.")
]
ActorOption = Annotated[
    str, typer.Option("--actor", help="Who acts, for the audit; default the user of this terminal.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON each.")]


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those replayed or discarded.")] = False,
    state: Annotated[
        list[str] | None, typer.Option(help="HELD, CORRECTED, REPLAYED or DISCARDED; several times.")
    ] = None,
    reason_code: Annotated[str, typer.Option(help="Refused for this, such as NO_PATIENT.")] = "",
    feed: Annotated[str, typer.Option(help="Came this way: folder, dicom, mllp, http.")] = "",
    source: Annotated[str, typer.Option(help="From this source.")] = "",
    site: Annotated[str, typer.Option(help="Of this site.")] = "",
    since: Annotated[str, typer.Option(help="Received no longer ago, such as 8h or 3d.")] = "",
    last: Annotated[int, typer.Option(min=1, help="At most so many of the newest.")] = 50,
    as_json: JsonOption = False,
    broker: BrokerOption = None,
) -> None:
    """List deliveries in quarantine, newest first.

    Those that wait for somebody, unless --all or --state say otherwise. Names no patient.
    """
    from streams.feeds.quarantine.finding import Wanted
    from streams.feeds.quarantine.fold import OPEN

    wanted = Wanted(
        states=_states(state) or (frozenset() if every else OPEN),
        code=reason_code.upper(),
        feed=feed,
        source=source,
        site_id=site,
        since=utc_now() - parse_duration(since) if since else None,
    )
    entries = run(_list(prepared(broker=broker), wanted))
    _print_entries(entries, last, as_json)


@app.command("show")
def show(
    name: NameArgument,
    save: Annotated[
        Path | None, typer.Option(help="Write the document here, readable by you alone; must not exist.")
    ] = None,
    as_json: JsonOption = False,
    actor: ActorOption = "",
    broker: BrokerOption = None,
) -> None:
    """Show one: why it was refused, what mends it, what can be read of it, what was done about it.

    Names the patient where the ECG does; that it was shown, and to whom, is noted.
    """
    settings, feed_settings = prepared(broker=broker), load_feed_settings()
    run(_show(settings, feed_settings, name, _by(actor), save, as_json))


@app.command("correct")
def correct(
    name: NameArgument,
    patient_id: Annotated[str, typer.Option(help="Whose ECG it is, over what file and message say.")] = "",
    timezone: Annotated[str, typer.Option(help="Zone of its times without offset, as Europe/Rome.")] = "",
    acquired_at: Annotated[
        str, typer.Option(help="Start of the recording (ISO 8601), over what the file says.")
    ] = "",
    ward: Annotated[str, typer.Option(help="Ward, over what the file says.")] = "",
    site: Annotated[str, typer.Option(help="Site, over what the file says.")] = "",
    reason: Annotated[str, typer.Option(help="How you know; kept for good, so name no patient here.")] = "",
    actor: ActorOption = "",
    broker: BrokerOption = None,
) -> None:
    """Correct patient, time zone, time, ward or site; then replay it.

    Correcting again adds to it; of each field the last word counts.
    Example: diastole quarantine correct 3f2a9c01 --patient-id 4711
    """
    correction = {
        "patient_id": patient_id,
        "timezone": timezone,
        "acquired_at": acquired_at,
        "ward_id": ward,
        "site_id": site,
    }
    given = {field: text for field, text in correction.items() if text}
    by = _by(actor)

    async def work(desk: "QuarantineDesk") -> "Entry":
        return await desk.correct(name, given, by, reason)

    entry = run(_at_desk(prepared(broker=broker), load_feed_settings(), work))
    _say(f"corrected {entry.quarantine_id}; now: diastole quarantine replay {entry.quarantine_id[:8]}")


@app.command("replay")
def replay(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Ids, or their beginnings.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are held or corrected.")] = False,
    reason_code: Annotated[str, typer.Option(help="Of these, those refused for this.")] = "",
    source: Annotated[str, typer.Option(help="Of these, those from this source.")] = "",
    actor: ActorOption = "",
    broker: BrokerOption = None,
) -> None:
    """Offer deliveries to the gateway again, with what was corrected.

    Accepted ones are on ecg.recorded.v1 and leave quarantine; the others stay, with the new reason. Replaying
    again is harmless. Exit code 1 when any was refused again.
    """
    if bool(names) == every:
        raise ConfigurationError("name the deliveries to replay, or give --all for all that wait")
    from streams.feeds.quarantine.finding import Wanted
    from streams.feeds.quarantine.fold import OPEN

    wanted = Wanted(states=OPEN, code=reason_code.upper(), source=source) if every else None
    settings, feed_settings = prepared(broker=broker), load_feed_settings()
    refused = run(_replay(settings, feed_settings, names or [], wanted, _by(actor)))
    if refused:
        raise typer.Exit(code=1)


@app.command("discard")
def discard(
    names: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids, or their beginnings.")],
    reason: Annotated[str, typer.Option(help="Why; kept for good, so name no patient here.")],
    actor: ActorOption = "",
    broker: BrokerOption = None,
) -> None:
    """Give deliveries up for good: their content is removed, the record of it stays.

    One that its source sends again comes back.
    """
    by = _by(actor)

    async def work(desk: "QuarantineDesk") -> None:
        for name in names:
            entry = await desk.discard(name, reason, by)
            _say(f"discarded {entry.quarantine_id}")

    run(_at_desk(prepared(broker=broker), load_feed_settings(), work))


async def _list(settings: Settings, wanted: "Wanted") -> "list[Entry]":
    # Nothing of it is sealed, so it needs no key.
    async with _open_desk(settings, None) as desk:
        return await desk.entries(wanted)


async def _at_desk(
    settings: Settings,
    feed_settings: FeedSettings,
    work: "Callable[[QuarantineDesk], Coroutine[Any, Any, T]]",
) -> T:
    async with _open_desk(settings, feed_settings) as desk:
        return await work(desk)


@asynccontextmanager
async def _open_desk(
    settings: Settings, feed_settings: FeedSettings | None
) -> "AsyncIterator[QuarantineDesk]":
    # Imported here, as below: other commands need not wait for Kafka's client.
    from streams.feeds.quarantine.acts import QuarantineDesk
    from streams.feeds.quarantine.opening import open_quarantine, sealer_of

    sealer = sealer_of(feed_settings) if feed_settings is not None else None
    async with open_quarantine(settings.kafka, build_codec(settings), sealer) as store:
        yield QuarantineDesk(store.log, store.content, store.sealer, utc_now)


async def _show(
    settings: Settings,
    feed_settings: FeedSettings,
    name: str,
    by: "By",
    save: Path | None,
    as_json: bool,
) -> None:
    from ops.cli.quarantine_tables import shown_lines
    from streams.feeds.quarantine.gist import gist_of
    from streams.feeds.quarantine.rendering import act_plain, entry_plain, gist_plain
    from streams.feeds.reading import open_reading

    async with _open_desk(settings, feed_settings) as desk:
        shown = await desk.show(name, by, "content saved" if save else "")
    gist = None
    if shown.delivery is not None:
        async with open_reading(1, feed_settings.limits()) as reads:
            gist = await gist_of(shown.delivery, reads)
    if as_json:
        said = entry_plain(shown.entry) | {
            "correction": dict(shown.correction),
            "readable": gist_plain(gist) if gist else None,
            "acts": [act_plain(act) for act in shown.entry.acts],
        }
        _say(json.dumps(said, ensure_ascii=False))
    else:
        for line in shown_lines(shown, gist, utc_now()):
            _say(line)
    if save is not None:
        if shown.delivery is None:
            raise ConfigurationError("its content is no longer kept: it was replayed or discarded")
        save_document(shown.delivery.document, save)


async def _replay(
    settings: Settings,
    feed_settings: FeedSettings,
    names: Sequence[str],
    wanted: "Wanted | None",
    by: "By",
) -> int:
    from streams.feeds.gateway_assembly import open_gateway
    from streams.feeds.quarantine.acts import QuarantineDesk

    refused = 0
    async with open_gateway("quarantine", settings, feed_settings) as gateway:
        store = gateway.keeper.store
        desk = QuarantineDesk(store.log, store.content, store.sealer, utc_now)
        if wanted is not None:
            names = [entry.quarantine_id for entry in reversed(await desk.entries(wanted))]
        for name in names:
            refused += not await _replay_one(desk, gateway, name, by)
    _say(f"{len(names) - refused} replayed, {refused} not")
    return refused


async def _replay_one(desk: "QuarantineDesk", gateway: "Readmits", name: str, by: "By") -> bool:
    try:
        replayed = await desk.replay(name, by, gateway)
    except PoisonError as error:
        err().print(f"not replayed {name}: {error}", markup=False, soft_wrap=True)
        return False
    if replayed.refusal is not None:
        said = f"refused again {replayed.entry.quarantine_id}: {replayed.refusal}"
        err().print(said, markup=False, soft_wrap=True)
        return False
    before = " before" if replayed.is_earlier else ""
    _say(f"replayed{before} {replayed.entry.quarantine_id} as {replayed.ecg_id}")
    if replayed.left_out:
        why = "it was there already, as it came then" if replayed.was_there else "corrected during the replay"
        fields = ", ".join(replayed.left_out)
        said = f"check it: its {fields} may not be as corrected ({why}); the ECG is not changed by that"
        err().print(said, markup=False, soft_wrap=True)
    return True


def save_document(document: "Document", path: Path) -> None:
    """Write a document and the files that belong to it beside it, each readable by its owner alone.

    Raises
    ------
    ConfigurationError
        When one of them is there already or cannot be written.
    """
    files = {path: document.content}
    files |= {path.parent / Path(name).name: part for name, part in document.companions.items()}
    for target, part in files.items():
        try:
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be written: {error.strerror}") from None
        with os.fdopen(handle, "wb") as stream:
            stream.write(part)


def _print_entries(entries: "Sequence[Entry]", last: int, as_json: bool) -> None:
    from ops.cli.quarantine_tables import entries_table
    from streams.feeds.quarantine.rendering import entry_plain

    if as_json:
        for entry in entries[:last]:
            _say(json.dumps(entry_plain(entry), ensure_ascii=False))
        return
    if not entries:
        _say("nothing in quarantine")
        return
    out().print(entries_table(entries[:last], utc_now()))
    if len(entries) > last:
        _say(f"{len(entries) - last} more; see them with --last {len(entries)}")


def _states(names: list[str] | None) -> frozenset[Any]:
    from streams.feeds.quarantine.fold import State

    try:
        return frozenset(State(name.upper()) for name in names or ())
    except ValueError:
        raise ConfigurationError(f"--state is one of {', '.join(State)}") from None


def _by(actor: str) -> "By":
    from streams.feeds.quarantine.acts import By

    return By(actor=actor.strip() or user_of_this_process(), origin=ORIGIN)


def _say(line: str) -> None:
    out().print(line, markup=False, soft_wrap=True)
