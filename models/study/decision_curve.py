"""Net benefit of acting on a probability, against acting on everybody and on nobody.

Source: Vickers & Elkin, Med. Decis. Making 26 (2006) 565. At a threshold of 0.2 one person found is worth
four false alarms; net benefit counts those found, less false alarms at that rate, for each person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.study.estimate import FloatArray

#: Below 2 % everybody would be sent to echo, above 80 % everybody has it.
THRESHOLDS: Final = tuple(round(0.02 * step, 2) for step in range(1, 41))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCurve:
    """Net benefit a person at each threshold; that of acting on nobody is 0.

    Attributes
    ----------
    treat_all : tuple of float
        Of acting on everybody.
    net_benefit : mapping of str to tuple of float
        Of acting on those at or above the threshold, by model.
    """

    thresholds: tuple[float, ...]
    treat_all: tuple[float, ...]
    net_benefit: Mapping[str, tuple[float, ...]]


def decision_curve(
    label: FloatArray, probability: Mapping[str, FloatArray], thresholds: tuple[float, ...] = THRESHOLDS
) -> DecisionCurve:
    """Net benefit of each model; label, (n,) 0 or 1, and probabilities, (n,).

    >>> curve = decision_curve(np.array([1.0, 0.0]), {"model": np.array([0.9, 0.1])}, (0.5,))
    >>> curve.net_benefit["model"], curve.treat_all
    ((0.5,), (0.0,))
    """
    return DecisionCurve(
        thresholds=thresholds,
        treat_all=_net_benefit(label, np.ones(len(label)), thresholds),
        net_benefit={model: _net_benefit(label, each, thresholds) for model, each in probability.items()},
    )


def _net_benefit(
    label: FloatArray, probability: FloatArray, thresholds: tuple[float, ...]
) -> tuple[float, ...]:
    cut = np.asarray(thresholds)
    acted = probability[:, None] >= cut  # (n, n_thresholds)
    found, false = (acted * own[:, None] for own in (label, 1.0 - label))
    return tuple((found.mean(axis=0) - false.mean(axis=0) * cut / (1.0 - cut)).tolist())
