"""Counts of what a folder gave so far."""

from dataclasses import dataclass

from streams.feeds.admission import Ending
from streams.feeds.folder.plan import Plan


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the documents of a folder since the feed started.

    Attributes
    ----------
    accepted, repeated, quarantined : int
        Documents read and admitted, by ending.
    only_moved : int
        Taken by an earlier process that was killed before it could move them.
    due, waiting, held, stuck : int
        As of the last look: ready; not ready yet; could not be opened or moved, and tried again later; never
        ready unless somebody acts.
    unreachable : bool
        The folder could not be listed at the last look.
    held_up : bool
        Nothing is taken for now, since Kafka does not acknowledge.
    """

    accepted: int = 0
    repeated: int = 0
    quarantined: int = 0
    only_moved: int = 0
    due: int = 0
    waiting: int = 0
    held: int = 0
    stuck: int = 0
    unreachable: bool = False
    held_up: bool = False

    @property
    def ended(self) -> int:
        """Documents taken."""
        return self.accepted + self.repeated + self.quarantined

    @property
    def total(self) -> int:
        """Documents taken, and those there that will be."""
        return self.ended + self.due + self.waiting

    def look(self, plan: Plan) -> None:
        """Take over what a look at the folder found."""
        self.due, self.waiting, self.held, self.stuck = (
            plan.n_due,
            plan.n_waiting,
            plan.n_held,
            plan.n_stuck,
        )
        self.unreachable = False

    def count(self, ending: Ending) -> None:
        """Count one document that was due."""
        if ending is Ending.ACCEPTED:
            self.accepted += 1
        elif ending is Ending.REPEATED:
            self.repeated += 1
        else:
            self.quarantined += 1
        self.due -= 1
