"""Where files go that were taken: ``accepted/YYYY-MM-DD/…`` and ``quarantined/…`` with the reason beside."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Final

from schemas.errors import ConfigurationError
from streams.feeds.admission import Ending
from streams.feeds.folder.entries import Bundle, Outcome, Taken
from streams.feeds.quarantine.mending import what_mends

#: Kept beside a quarantined file under its name and this.
REASON_SUFFIX: Final = ".reason.txt"

#: What can be done about a quarantined delivery, as the command line calls it.
_VERBS: Final = ("show", "correct", "replay", "discard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Moves files out of the way, each with one rename, never over another file.

    Attributes
    ----------
    root : Path
        The watched folder.
    accepted, quarantined : Path
        On the same file system, or renaming would be copying.
    """

    root: Path
    accepted: Path
    quarantined: Path

    def prepare(self) -> bool:
        """Make the two folders; False when nothing can be written there.

        Raises
        ------
        ConfigurationError
            When they lie on another file system than the folder.
        """
        for folder in (self.accepted, self.quarantined):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError:
                return False
            if not os.access(folder, os.W_OK) or not os.access(self.root, os.W_OK):
                return False
            if folder.stat().st_dev != self.root.stat().st_dev:
                raise ConfigurationError(
                    "the folders for accepted and quarantined files must lie on the file system of the "
                    "watched one: a move must be one rename"
                )
        return True

    def put_away(self, bundle: Bundle, taken: Taken, day: date) -> None:
        """Move the files of a document that was taken.

        Called again after a kill it moves what is left, to the same place.

        Raises
        ------
        OSError
            When a file cannot be moved; those that were stay moved.
        """
        is_refused = taken.outcome.ending is Ending.QUARANTINED
        shelf = self.quarantined if is_refused else self.accepted / day.isoformat()
        parent = shelf / PurePosixPath(bundle.main.path).parent
        targets = _free_places(parent, bundle, taken.identity.hex()[:8])
        targets[-1].parent.mkdir(parents=True, exist_ok=True)
        if is_refused:
            note = targets[-1].with_name(targets[-1].name + REASON_SUFFIX)
            note.write_text(reason_text(taken.outcome), encoding="utf-8")
        for entry, target in zip(bundle.entries, targets, strict=True):
            (self.root / entry.path).rename(target)


def reason_text(outcome: Outcome) -> str:
    """Write the note beside a quarantined file: what is wrong, and what to do about it."""
    lines = [f"{outcome.reason}: {outcome.message}", f"what mends it: {what_mends(outcome.reason)}"]
    if outcome.quarantine_id:
        lines += [
            f"quarantine id {outcome.quarantine_id}",
            *(f"diastole quarantine {verb} {outcome.quarantine_id}" for verb in _VERBS),
        ]
    return "\n".join(lines) + "\n"


def _free_places(parent: Path, bundle: Bundle, mark: str) -> list[Path]:
    """Find names that nothing has; the files of a WFDB record keep theirs, as its header tells them."""
    names = [PurePosixPath(entry.path).name for entry in bundle.entries]
    n = 0
    while True:
        suffix = "" if n == 0 else f"~{mark}" if n == 1 else f"~{mark}-{n}"
        if len(names) > 1 and suffix:
            places = [parent / suffix[1:] / name for name in names]
        else:
            places = [parent / f"{Path(name).stem}{suffix}{Path(name).suffix}" for name in names]
        if not any(os.path.lexists(place) for place in places):
            return places
        n += 1
