"""``diastole dlq``: what could not be processed, looked at, and put back once its cause is mended."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import Progress

from ops.cli.actor import user_of_this_process
from ops.cli.console import err, out
from ops.cli.durations import parse_duration
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError, PoisonError
from streams.assembly import build_codec
from streams.settings import Settings
from streams.stage import utc_now

if TYPE_CHECKING:
    from ops.dlq.desk import LetterDesk, ReplayDesk
    from ops.dlq.letter import DeadLetter, Place
    from ops.dlq.replaying import Replay

app = typer.Typer(help="See dead letters and put them back once their cause is mended.", no_args_is_help=True)

#: More than so many at once are asked about: a whole outage put back is a load.
_MANY: Final = 10

JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON each.")]
SinceOption = Annotated[str, typer.Option(help="Written no longer ago, such as 8h or 2d.")]
IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="topic:partition:offset, as dlq list prints it.")
]


@app.command("list")
def list_(
    topic: Annotated[
        str, typer.Option(help="Of this topic, such as ecg.recorded.v1, with or without .dlq.")
    ] = "",
    code: Annotated[str, typer.Option(help="Of this error, such as UNKNOWN_SCHEMA.")] = "",
    since: SinceOption = "",
    last: Annotated[int, typer.Option(min=1, help="At most so many of the newest.")] = 50,
    as_json: JsonOption = False,
    broker: BrokerOption = None,
) -> None:
    """List dead letters, newest first, with counts by code. Names no patient.

    Example: diastole dlq list --since 2d --code UNKNOWN_SCHEMA
    """
    found, replays = run(_list(prepared(broker=broker), topic, _moment(since)))
    _print_letters([letter for letter in found if code.upper() in ("", letter.code)], replays, last, as_json)


@app.command("show")
def show(
    name: IdArgument,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Also key, whole record and first bytes: they name the patient.")
    ] = False,
    as_json: JsonOption = False,
    broker: BrokerOption = None,
) -> None:
    """Show one: why it died, what it holds as far as it can be read, what to do."""
    from ops.dlq.letter import parse_place

    run(_show(prepared(broker=broker), parse_place(name), reveal=reveal, as_json=as_json))


@app.command("replay")
def replay(
    names: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="As dlq list prints them.")] = None,
    code: Annotated[str, typer.Option(help="All of this error that were not put back yet.")] = "",
    all_retryable: Annotated[
        bool, typer.Option("--all-retryable", help="All whose cause may pass, not put back yet.")
    ] = False,
    since: SinceOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also those put back before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=f"Do not ask before more than {_MANY}.")] = False,
    broker: BrokerOption = None,
) -> None:
    """Put messages back where they came from, byte for byte, once their cause is mended.

    A second time is told and left out; were it done, it would change nothing, since all that comes of it
    carries the same ids. Exit code 1 when one could not be put back.

    Example: diastole dlq replay --code UNKNOWN_SCHEMA --dry-run
    """
    if sum((bool(names), bool(code), all_retryable)) != 1:
        raise ConfigurationError("give ids, or --code, or --all-retryable: one of the three")
    settings = prepared(broker=broker)
    wanted = run(_wanted(settings, names or [], code.upper(), _moment(since)))
    letters, replays = wanted
    if dry_run or not _agreed(letters, yes=yes or bool(names)):
        _print_plan(letters, replays, settings, again=again)
        return
    if run(_replay(settings, letters, replays, again=again)):
        raise typer.Exit(code=1)


async def _list(
    settings: Settings, topic: str, since: datetime | None
) -> "tuple[list[DeadLetter], Mapping[Place, Replay]]":
    from ops.dlq.desk import DEAD_LETTER_TOPICS

    desk = _desk(settings)
    name = topic if not topic or topic.endswith(".dlq") else f"{topic}.dlq"
    if name and name not in DEAD_LETTER_TOPICS:
        raise ConfigurationError(f"{name} is none of {', '.join(DEAD_LETTER_TOPICS)}")
    letters = await desk.letters((name,) if name else DEAD_LETTER_TOPICS, since)
    return letters, await desk.replays()


async def _show(settings: Settings, place: "Place", *, reveal: bool, as_json: bool) -> None:
    from ops.dlq.letter import letter_of
    from ops.dlq.shown import content_plain, letter_plain, shown_lines
    from ops.topic_reader import decoded

    desk = _desk(settings)
    message = await desk.message(place)
    replays = await desk.replays()
    letter, record = letter_of(message), decoded(message, build_codec(settings))
    note = replays.get(letter.origin) if letter.origin else None
    if as_json:
        said = letter_plain(letter, note) | content_plain(message, record, reveal=reveal)
        _say(json.dumps(said, ensure_ascii=False))
        return
    for line in shown_lines(letter, message, record, note, reveal=reveal):
        _say(line)


async def _wanted(
    settings: Settings, names: Sequence[str], code: str, since: datetime | None
) -> "tuple[list[DeadLetter], Mapping[Place, Replay]]":
    from ops.dlq.letter import letter_of, parse_place
    from ops.dlq.replaying import not_yet, one_of_each

    desk = _desk(settings)
    replays = await desk.replays()
    if names:
        return [letter_of(await desk.message(parse_place(name))) for name in names], replays
    letters = await desk.letters(since=since)
    chosen = [letter for letter in letters if (letter.code == code if code else letter.is_retryable)]
    return one_of_each(not_yet(chosen, replays)), replays


async def _replay(
    settings: Settings,
    letters: "Sequence[DeadLetter]",
    replays: "Mapping[Place, Replay]",
    *,
    again: bool,
) -> int:
    done = dict(replays)
    n_refused = 0
    with Progress(console=err(), transient=True, disable=len(letters) <= 1) as progress:
        task = progress.add_task("replaying", total=len(letters))
        async with _desk(settings).open_for_replay() as desk:
            for letter in letters:
                n_refused += not await _replay_one(desk, letter, done, settings, again=again)
                progress.advance(task)
    return n_refused


async def _replay_one(
    desk: "ReplayDesk",
    letter: "DeadLetter",
    done: "dict[Place, Replay]",
    settings: Settings,
    *,
    again: bool,
) -> bool:
    reason = _refusal(letter, settings)
    if reason is None and letter.origin is not None:
        before = done.get(letter.origin)
        if before is not None and not again:
            _say(f"already replayed {letter.place} {_when(before)}; --again does it all the same")
            return True
        try:
            note = await desk.replay(letter, letter.origin, user_of_this_process())
        except PoisonError as error:
            reason = str(error)
        else:
            done[letter.origin] = note
            _say(f"replayed {letter.place} as {note.became}")
            return True
    err().print(f"not replayed {letter.place}: {reason}", markup=False, soft_wrap=True)
    return False


def _print_plan(
    letters: "Sequence[DeadLetter]", replays: "Mapping[Place, Replay]", settings: Settings, *, again: bool
) -> None:
    for letter in letters:
        before = replays.get(letter.origin) if letter.origin else None
        reason = _refusal(letter, settings)
        if reason is not None:
            _say(f"would not replay {letter.place}: {reason}")
        elif before is not None and not again:
            _say(f"already replayed {letter.place} {_when(before)}")
        else:
            _say(f"would replay {letter.place} ({letter.code}) to {letter.origin}")
    if not letters:
        _say("nothing to replay")


def _print_letters(
    letters: "list[DeadLetter]", replays: "Mapping[Place, Replay]", last: int, as_json: bool
) -> None:
    from ops.dlq.shown import count_lines, letter_plain, letters_table

    shown = letters[::-1][:last]
    if as_json:
        for letter in shown:
            note = replays.get(letter.origin) if letter.origin else None
            _say(json.dumps(letter_plain(letter, note), ensure_ascii=False))
        return
    if not letters:
        _say("no dead letters")
        return
    out().print(letters_table(shown, replays, utc_now()))
    for line in count_lines(letters, replays):
        _say(line)
    if len(letters) > last:
        _say(f"{len(letters) - last} more; see them with --last {len(letters)}")


def _agreed(letters: "Sequence[DeadLetter]", *, yes: bool) -> bool:
    if yes or len(letters) <= _MANY:
        return True
    return typer.confirm(f"Put {len(letters)} messages back?", err=True)


def _refusal(letter: "DeadLetter", settings: Settings) -> str | None:
    from ops.dlq.replaying import Limits, refusal

    return refusal(letter, Limits(max_record_bytes=settings.max_record_bytes))


def _desk(settings: Settings) -> "LetterDesk":
    # Imported here, as above: other commands need not wait for Kafka's client.
    from ops.dlq.desk import LetterDesk

    return LetterDesk(broker=settings.kafka, now=utc_now)


def _moment(since: str) -> datetime | None:
    return utc_now() - parse_duration(since) if since else None


def _when(replay: "Replay") -> str:
    return f"at {replay.at:%Y-%m-%d %H:%M:%S}Z by {replay.by}, as {replay.became}"


def _say(line: str) -> None:
    out().print(line, markup=False, soft_wrap=True)
