"""``diastole identity``: the gateway's key, merges of patients, and the way back from pseudonyms."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.actor import user_of_this_process
from ops.cli.console import out
from ops.cli.setup import BrokerOption, prepared, run
from schemas.errors import ConfigurationError
from streams.assembly import build_codec
from streams.feeds.settings import FeedSettings, load_feed_settings
from streams.settings import Settings

if TYPE_CHECKING:
    from schemas.patient_link import PatientLinked

app = typer.Typer(help="The gateway's key, merges of patients, pseudonyms.", no_args_is_help=True)

ORIGIN: Final = "command"

ActorOption = Annotated[
    str, typer.Option("--actor", help="Who does it, as it is noted; default the user of this terminal.")
]


@app.command("key")
def key(path: Annotated[Path, typer.Argument(help="File to make; must not exist.")]) -> None:
    """Make a key file.

    Readable by its owner alone. Give it to every gateway of the site as DIASTOLE_FEED_KEY_FILE and keep a
    copy apart: with another key patients get other pseudonyms, and what was sealed cannot be opened.
    """
    from streams.feeds.sealing import Secret

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"{path} exists and is left as it is: a key that is overwritten is lost; name another file"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made: {error.strerror}; name another file") from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(Secret.generate().text() + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    _say(f"made {path}; set DIASTOLE_FEED_KEY_FILE to it for every feed, and keep a copy apart")


@app.command("merge")
def merge(
    prior: Annotated[str, typer.Argument(help="The site's identifier that is no longer used.")],
    surviving: Annotated[str, typer.Argument(help="The site's identifier that stays.")],
    actor: ActorOption = "",
    broker: BrokerOption = None,
) -> None:
    """Say that two identifiers are one patient.

    As an HL7 ADT^A40 would: histories are read as one from now on, new ECGs of the prior identifier go to the
    surviving one. Nothing that was written is rewritten. Example: diastole identity merge 4711 815
    """
    settings, feed_settings = prepared(broker=broker), load_feed_settings()
    is_news = run(_merge(settings, feed_settings, prior, surviving, actor or user_of_this_process()))
    _say("linked" if is_news else "they were linked already; nothing was written")


@app.command("unmerge")
def unmerge(
    prior: Annotated[str, typer.Argument(help="The site's identifier that was merged away.")],
    actor: ActorOption = "",
    broker: BrokerOption = None,
) -> None:
    """Undo a merge: the two are different patients after all.

    ECGs that went to the surviving identifier meanwhile stay there.
    """
    settings, feed_settings = prepared(broker=broker), load_feed_settings()
    is_news = run(_unmerge(settings, feed_settings, prior, actor or user_of_this_process()))
    _say("no longer linked" if is_news else "it was undone already; nothing was written")


@app.command("show")
def show(
    patient: Annotated[str, typer.Argument(help="The site's identifier of a patient, or a pseudonym.")],
    broker: BrokerOption = None,
) -> None:
    """Show a patient's pseudonym and what it is linked with."""
    settings, feed_settings = prepared(broker=broker), load_feed_settings()
    pseudonym, survivor, family = run(_show(settings, feed_settings, patient))
    _say(f"known as {pseudonym}" if pseudonym != patient else f"{patient} leaves the gateway as it is")
    for link in family:
        since = f"since {link.linked_at:%Y-%m-%d %H:%M} UTC ({link.origin}, {link.actor})"
        _say(f"{link.prior_patient_id} is {link.surviving_patient_id} {since}")
    _say("never merged" if not family else f"in use today is {survivor}")


@app.command("reveal")
def reveal(
    pseudonym: Annotated[str, typer.Argument(help="As records and alerts name the patient.")],
    reason: Annotated[str, typer.Option(help="Why, as it is noted; name no patient here.")] = "",
    actor: ActorOption = "",
) -> None:
    """Print the site's identifier behind a pseudonym.

    Works where the gateway's key and table are. Who asked, for whom, when and why is noted in a file beside
    the table before anything is printed.
    """
    from streams.feeds.identity import revealing

    settings, feed_settings = prepared(), load_feed_settings()
    typer.echo(
        revealing.reveal(
            pseudonym, settings, feed_settings, actor=actor or user_of_this_process(), reason=reason
        )
    )


async def _merge(
    settings: Settings, feed_settings: FeedSettings, prior: str, surviving: str, actor: str
) -> bool:
    # Imported here, as below: other commands need not wait for Kafka's client.
    from streams.feeds.identity.names import open_names

    async with open_names(settings, feed_settings, build_codec(settings)) as names:
        return await names.merge(prior, surviving, origin=ORIGIN, actor=actor)


async def _unmerge(settings: Settings, feed_settings: FeedSettings, prior: str, actor: str) -> bool:
    from streams.feeds.identity.names import open_names

    async with open_names(settings, feed_settings, build_codec(settings)) as names:
        return await names.unmerge(prior, origin=ORIGIN, actor=actor)


async def _show(
    settings: Settings, feed_settings: FeedSettings, patient: str
) -> "tuple[str, str, tuple[PatientLinked, ...]]":
    from streams.feeds.identity.names import open_names
    from streams.feeds.identity.pseudonym import is_pseudonym

    async with open_names(settings, feed_settings, build_codec(settings)) as names:
        pseudonym = patient if is_pseudonym(patient) else names.pseudonyms.of(patient)
        return pseudonym, names.survivor_of(pseudonym), names.family_of(pseudonym)


def _say(line: str) -> None:
    out().print(line, markup=False, soft_wrap=True)
