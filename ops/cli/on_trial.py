"""What a bundle on trial would have said: ``diastole bundle compare --stream``, as a table."""

from typing import TYPE_CHECKING

from rich.table import Table

from ops.rendering import decimal
from streams.assembly import build_codec
from streams.settings import Settings

if TYPE_CHECKING:
    from models.agreement import Agreement
    from streams.silent_pairs import StreamPairs


async def read_pairs(settings: Settings, last: int) -> "StreamPairs":
    """Read the newest ECGs of the bundle on trial; see :func:`streams.silent_pairs.stream_pairs`."""
    # Imported here: Kafka's client takes a third of a second, which other commands need not wait.
    from streams.silent_pairs import stream_pairs

    return await stream_pairs(settings.kafka, build_codec(settings), last=last)


def agreement_table(paired: "StreamPairs", agreement: "Agreement") -> Table:
    """Lay out how far the two bundles agree; a dash stands for what so few ECGs do not tell.

    Parameters
    ----------
    paired : StreamPairs
        With at least one pair.
    """
    in_force, on_trial = paired.pairs[-1]
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for row in (
        ("in force", f"{in_force.bundle_version} ({in_force.bundle_sha256[:12]})"),
        ("on trial", f"{on_trial.bundle_version} ({on_trial.bundle_sha256[:12]})"),
        ("ECGs", f"{paired.n_on_trial} newest on trial, {agreement.n} of them by both"),
        ("scored", _scored(agreement)),
        ("same answer", _percent(agreement.agreement)),
        ("other answer", f"LOW → HIGH {agreement.to_high}, HIGH → LOW {agreement.to_low}"),
        ("probability", _difference(agreement)),
        ("correlation", decimal(agreement.correlation, 3)),
    ):
        table.add_row(*row)
    return table


def _scored(agreement: "Agreement") -> str:
    return (
        f"{agreement.n_scored} by both, {agreement.only_first_scored} only in force, "
        f"{agreement.only_second_scored} only on trial"
    )


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f} %"


def _difference(agreement: "Agreement") -> str:
    mean = "—" if agreement.mean_difference is None else f"{agreement.mean_difference:+.3f}"
    return (
        f"on trial less in force: {mean} in the mean, {decimal(agreement.mean_absolute_difference, 3)} "
        f"in mean size, {decimal(agreement.max_absolute_difference, 3)} at most"
    )
