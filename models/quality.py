"""Can this waveform be scored, and if not, why: a table of reasons, and how each is found.

============================ ======== ==============================================================
reason                       blocks   means
============================ ======== ==============================================================
``TOO_SHORT``                yes      less than 10 s
``UNSUPPORTED_RATE``         yes      outside 100–2000 Hz
``MISSING_LEAD:x``           yes      neither recorded nor derivable
``LEAD_OFF:x``               yes      stands at one value for a second or more
``FLAT:x``                   yes      moves, but under 30 µV from peak to peak
``NO_BEATS``                 yes      fewer than three QRS complexes in 10 s
``AMPLITUDE_IMPLAUSIBLE``    yes      no lead reaches 0.15 mV, or one exceeds 15 mV: wrong unit
``CLIPPED:x``                yes      its extreme is run into and held
``NOISE:x``                  from 4   noise of a tenth of its size and more; from a third of the leads on
``NOT_EINTHOVEN:x``          yes      a limb lead is not the sum of the others that it must be (which one is
                                      said where four were recorded): mislabelled, turned over, another time
``LEADS_RESCALED``           no       limb leads agree only after a gain for each: normalised samples
``ARM_LEADS_SWAPPED``        yes      P, QRS and T of I are upside down, and I is unlike V6
``ARM_LEG_LEADS_SWAPPED``    yes      right arm and left leg: II is upside down, aVR upright, II unlike V6
``CHEST_LEADS_REVERSED``     yes      V1–V6 in reverse: R falls towards V6, and I is like V1, not V6
``PACED``                    yes      the source says so, or spikes narrower than any QRS are there
``ACQUIRED_IN_FUTURE``       yes      acquired after it was published: the cart's clock or zone is wrong
============================ ======== ==============================================================

Not found: left arm and left leg exchanged, which looks like a normal heart with another axis (see
:mod:`models.lead_faults`), and pacing spikes in recordings below 400 Hz, whose filters leave nothing of
them; there a pacemaker is known only if the source says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.featurized import Quality


class Reason(StrEnum):
    """Why an ECG is not, or only with care, to be scored."""

    TOO_SHORT = "TOO_SHORT"
    UNSUPPORTED_RATE = "UNSUPPORTED_RATE"
    MISSING_LEAD = "MISSING_LEAD"
    LEAD_OFF = "LEAD_OFF"
    FLAT = "FLAT"
    NO_BEATS = "NO_BEATS"
    AMPLITUDE_IMPLAUSIBLE = "AMPLITUDE_IMPLAUSIBLE"
    CLIPPED = "CLIPPED"
    NOISE = "NOISE"
    NOT_EINTHOVEN = "NOT_EINTHOVEN"
    LEADS_RESCALED = "LEADS_RESCALED"
    ARM_LEADS_SWAPPED = "ARM_LEADS_SWAPPED"
    ARM_LEG_LEADS_SWAPPED = "ARM_LEG_LEADS_SWAPPED"
    CHEST_LEADS_REVERSED = "CHEST_LEADS_REVERSED"
    PACED = "PACED"
    ACQUIRED_IN_FUTURE = "ACQUIRED_IN_FUTURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one reason means for the score.

    Attributes
    ----------
    blocks_from : int
        Number of findings of this reason (one a lead) from which the ECG is not scored.
    cost : float
        What one finding takes off the quality score, which starts at 1.
    """

    blocks_from: int
    cost: float


_NEVER: Final = 99

#: NOISE blocks from 4 leads, a third of twelve. The others block at once: the model never saw such ECGs.
RULES: Final[dict[Reason, Rule]] = {
    Reason.TOO_SHORT: Rule(blocks_from=1, cost=1.0),
    Reason.UNSUPPORTED_RATE: Rule(blocks_from=1, cost=1.0),
    Reason.MISSING_LEAD: Rule(blocks_from=1, cost=1.0),
    Reason.LEAD_OFF: Rule(blocks_from=1, cost=0.5),
    Reason.FLAT: Rule(blocks_from=1, cost=0.5),
    Reason.NO_BEATS: Rule(blocks_from=1, cost=1.0),
    Reason.AMPLITUDE_IMPLAUSIBLE: Rule(blocks_from=1, cost=1.0),
    Reason.CLIPPED: Rule(blocks_from=1, cost=0.3),
    Reason.NOISE: Rule(blocks_from=4, cost=0.1),
    Reason.NOT_EINTHOVEN: Rule(blocks_from=1, cost=0.5),
    Reason.LEADS_RESCALED: Rule(blocks_from=_NEVER, cost=0.1),
    Reason.ARM_LEADS_SWAPPED: Rule(blocks_from=1, cost=0.5),
    Reason.ARM_LEG_LEADS_SWAPPED: Rule(blocks_from=1, cost=0.5),
    Reason.CHEST_LEADS_REVERSED: Rule(blocks_from=1, cost=0.5),
    Reason.PACED: Rule(blocks_from=1, cost=0.5),
    Reason.ACQUIRED_IN_FUTURE: Rule(blocks_from=1, cost=0.1),  # the waveform itself may be sound
}

#: One finding: the reason, and the lead where it is about one (else empty).
Finding = tuple[Reason, str]


def judge(findings: Sequence[Finding]) -> Quality:
    """Weigh the findings of one ECG by :data:`RULES`.

    Examples
    --------
    >>> judge([(Reason.NOISE, "V3")])
    Quality(acceptable=True, score=0.9, reasons=('NOISE:V3',))
    """
    counts = {reason: sum(found is reason for found, _ in findings) for reason in Reason}
    blocked = any(counts[reason] >= rule.blocks_from for reason, rule in RULES.items() if counts[reason])
    cost = sum(RULES[reason].cost for reason, _ in findings)
    return Quality(
        acceptable=not blocked,
        score=round(max(0.0, 1.0 - cost), 3),
        reasons=tuple(f"{reason}:{lead}" if lead else str(reason) for reason, lead in findings),
    )
