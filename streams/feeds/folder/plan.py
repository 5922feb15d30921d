"""What to do about a folder now, given how it looked before, what it holds, and what was taken already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streams.feeds.folder.entries import Bundle, Entry, Taken
from streams.feeds.folder.names import beside, is_header, needs_a_header


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a file is taken.

    Attributes
    ----------
    settle_s : float
        So long its size and time of change must have stood still. Copies over a network stall for a second
        now and then; senders that pause longer should write under another name and rename.
    patience_s : float
        So long a WFDB header waits for its signal files; then it is offered as it is, and quarantined.
    most : int
        Documents taken before the folder is listed anew, so that a backlog does not hide what comes in.
    keeps_files : bool
        Files stay where they are; the journal alone tells that they were taken.
    """

    settle_s: float = 2.0
    patience_s: float = 60.0
    most: int = 1000
    keeps_files: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A file and since when it has looked the same, seconds of a clock that only runs forward."""

    entry: Entry
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now.

    Attributes
    ----------
    take : tuple of Bundle
        To be read and admitted, oldest first.
    move : tuple of (Bundle, Taken)
        Taken already; only to be moved.
    n_due : int
        Documents that could be taken now, including those beyond ``rules.most``.
    n_waiting : int
        Documents that are still being written, or whose signal files are awaited.
    n_held : int
        Documents that could not be opened or moved and are tried again later.
    n_stuck : int
        Files that will not be taken unless somebody does something: empty, or signals without a header.
    n_kept : int
        Taken already, and left where they are.
    """

    take: tuple[Bundle, ...] = ()
    move: tuple[tuple[Bundle, Taken], ...] = ()
    n_due: int = 0
    n_waiting: int = 0
    n_held: int = 0
    n_stuck: int = 0
    n_kept: int = 0


def remember(before: Mapping[str, Sighting], listing: Iterable[Entry], now_s: float) -> dict[str, Sighting]:
    """Compare a listing with what was seen before; a file that changed, or is new, begins to settle now.

    >>> entry = Entry(path="a.dcm", n_bytes=5, mtime_ns=1, inode=1)
    >>> remember(remember({}, [entry], 10.0), [entry], 12.0)["a.dcm"].since_s
    10.0
    """
    now: dict[str, Sighting] = {}
    for entry in listing:
        known = before.get(entry.path)
        unchanged = known is not None and known.entry == entry
        now[entry.path] = known if known and unchanged else Sighting(entry=entry, since_s=now_s)
    return now


def settled_headers(seen: Mapping[str, Sighting], now_s: float, rules: Rules) -> list[Entry]:
    """WFDB headers that stand still: they may be opened to see which files belong to them."""
    return [each.entry for path, each in seen.items() if is_header(path) and _is_settled(each, now_s, rules)]


def decide(
    seen: Mapping[str, Sighting],
    named: Mapping[bytes, tuple[str, ...]],
    taken: Mapping[bytes, Taken],
    held_until_s: Mapping[str, float],
    now_s: float,
    rules: Rules,
) -> Plan:
    """Say which documents to take and which to move.

    Parameters
    ----------
    named : mapping
        From the identity of a header to the names of its signal files; headers not opened yet are absent.
    taken : mapping
        The journal, by identity of a document's main file.
    held_until_s : mapping
        Files that could not be opened or moved, and when to try again.
    """
    claimed = {
        beside(path, name)
        for path, each in seen.items()
        if is_header(path)
        for name in named.get(each.entry.identity(), ())
    }
    take: list[Bundle] = []
    move: list[tuple[Bundle, Taken]] = []
    n_waiting = n_held = n_stuck = n_kept = 0
    for path, each in seen.items():
        if path in claimed:
            continue
        if _is_settled(each, now_s, rules) and (needs_a_header(path) or each.entry.n_bytes == 0):
            n_stuck += 1
            continue
        bundle = _bundle(each, seen, named)
        row = None if bundle is None else taken.get(bundle.main.identity())
        if held_until_s.get(path, now_s) > now_s and _is_settled(each, now_s, rules):
            n_held += 1
        elif bundle is None:
            n_waiting += 1
        elif row is not None and row.is_of(bundle):
            if rules.keeps_files:
                n_kept += 1
            else:
                move.append((bundle, row))
        elif _may_be_taken(bundle, each, seen, now_s, rules):
            take.append(bundle)
        else:
            n_waiting += 1
    take.sort(key=lambda bundle: (bundle.main.mtime_ns, bundle.main.path))
    return Plan(
        take=tuple(take[: rules.most]),
        move=tuple(move),
        n_due=len(take),
        n_waiting=n_waiting,
        n_held=n_held,
        n_stuck=n_stuck,
        n_kept=n_kept,
    )


def _is_settled(each: Sighting, now_s: float, rules: Rules) -> bool:
    return now_s - each.since_s >= rules.settle_s


def _bundle(
    each: Sighting, seen: Mapping[str, Sighting], named: Mapping[bytes, tuple[str, ...]]
) -> Bundle | None:
    """Put a document together; None for a header that was not opened yet, and for signals alone."""
    path = each.entry.path
    if not is_header(path):
        return None if needs_a_header(path) else Bundle(main=each.entry)
    names = named.get(each.entry.identity())
    if names is None:
        return None
    there = [seen[beside(path, name)].entry for name in names if beside(path, name) in seen]
    return Bundle(main=each.entry, companions=tuple(there), is_whole=len(there) == len(names))


def _may_be_taken(
    bundle: Bundle, each: Sighting, seen: Mapping[str, Sighting], now_s: float, rules: Rules
) -> bool:
    parts = [seen[entry.path] for entry in bundle.entries]
    if not all(_is_settled(part, now_s, rules) and part.entry.n_bytes > 0 for part in parts):
        return False
    return bundle.is_whole or now_s - each.since_s >= rules.patience_s
