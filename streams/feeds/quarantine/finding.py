"""Finding deliveries in quarantine: by id, by the beginning of one, by what they have in common."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.errors import PoisonError
from streams.feeds.quarantine.fold import Entry, State


class NotInQuarantineError(PoisonError):
    """No delivery in quarantine has this id, or several have ids that begin so."""

    code = "NOT_IN_QUARANTINE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which deliveries are asked for; what is empty or None asks nothing.

    Attributes
    ----------
    states : frozenset of State
        In one of these.
    code, feed, source, site_id : str
        As the delivery's record has them; ``code`` as last found out.
    since : datetime or None
        Aware; received then or later.
    sites : tuple of str
        Of one of these sites: those that whoever asks may see.
    """

    states: frozenset[State] = frozenset()
    code: str = ""
    feed: str = ""
    source: str = ""
    site_id: str = ""
    since: datetime | None = None
    sites: tuple[str, ...] = ()

    def matches(self, entry: Entry) -> bool:
        """Whether an entry is asked for."""
        record = entry.record
        return (
            (not self.states or entry.state in self.states)
            and self.code in ("", entry.code)
            and self.feed in ("", record.feed)
            and self.source in ("", record.source)
            and self.site_id in ("", record.site_id)
            and is_in_sight(entry, self.sites)
            and (self.since is None or record.received_at >= self.since)
        )


def is_in_sight(entry: Entry, sites: Collection[str]) -> bool:
    """Whether who may see these sites may see the entry; none at all stands for every site."""
    return not sites or entry.record.site_id in sites


def newest_first(entries: Iterable[Entry], wanted: Wanted) -> list[Entry]:
    """Choose entries, those received last first."""
    chosen = [entry for entry in entries if wanted.matches(entry)]
    return sorted(chosen, key=lambda entry: (entry.record.received_at, entry.quarantine_id), reverse=True)


def entry_named(entries: Mapping[str, Entry], name: str, sites: Collection[str] = ()) -> Entry:
    """Find the entry whose id is ``name`` or alone begins so, among those in sight.

    Raises
    ------
    NotInQuarantineError
        When none or several do.
    """
    wanted = name.strip().lower()
    known = entries.get(wanted)
    if known is not None and is_in_sight(known, sites):
        return known
    found = [
        entry
        for quarantine_id, entry in entries.items()
        if wanted and quarantine_id.startswith(wanted) and is_in_sight(entry, sites)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotInQuarantineError(
            "no delivery in quarantine has this id; see which there are with: diastole quarantine list"
        )
    raise NotInQuarantineError(
        f"{len(found)} deliveries in quarantine have ids that begin so; give more of it"
    )
