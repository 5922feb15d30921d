"""Cumulative incidence in the presence of competing events (Aalen–Johansen), with its variance.

Where there is no competing event it is 1 − Kaplan–Meier with Greenwood's variance. Sources: Aalen &
Johansen, Scand. J. Stat. 5 (1978) 141; variance by the delta method, Marubini & Valsecchi, Analysing
Survival Data (1995), 10.4; interval on the scale log(−log F), Kalbfleisch & Prentice (2002), so that it
stays within 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.study.estimate import Z_95, Estimate, FloatArray

Events = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Incidence:
    """A step function: ``incidence[i]`` from ``years[i]`` on, 0 before the first.

    Attributes
    ----------
    years, incidence, se : numpy.ndarray
        (n_times,), at each time at which any event happened.
    followed_years : numpy.ndarray
        (n,), sorted: how long each person was followed.
    """

    years: FloatArray
    incidence: FloatArray
    se: FloatArray
    followed_years: FloatArray

    def at(self, years: float) -> Estimate:
        """Cumulative incidence at a time; NaN beyond the last person's follow-up."""
        value, se = self._step(years)
        if not 0.0 < value < 1.0 or not se > 0.0:
            return Estimate(value=value)
        spread = np.exp(Z_95 * se / (value * -np.log(value)) * np.array([1.0, -1.0]))
        low, high = value**spread
        return Estimate(value=value, low=float(low), high=float(high))

    def se_at(self, years: float) -> float:
        """Return the standard error of the same."""
        return self._step(years)[1]

    def at_risk(self, years: float) -> int:
        """How many were followed that long, without an event before."""
        return len(self.followed_years) - int(np.searchsorted(self.followed_years, years, side="left"))

    def _step(self, years: float) -> tuple[float, float]:
        if not len(self.followed_years) or years > self.followed_years[-1]:
            return float("nan"), float("nan")
        i = int(np.searchsorted(self.years, years, side="right")) - 1
        return (float(self.incidence[i]), float(self.se[i])) if i >= 0 else (0.0, 0.0)


def cumulative_incidence(years: FloatArray, event: Events, *, of: int = 1) -> Incidence:
    """Estimate the share of people to whom event ``of`` has happened by each time.

    Parameters
    ----------
    years : numpy.ndarray
        (n,), until the event or until follow-up ended.
    event : numpy.ndarray
        (n,), 0 where follow-up ended first, else which event; any other than ``of`` competes with it.
    """
    followed = np.sort(years)
    times, at = np.unique(years[event > 0], return_inverse=True)
    d_any = np.bincount(at, minlength=len(times)).astype(float)  # (n_times,)
    d_of = np.bincount(at, event[event > 0] == of, len(times))
    n = len(followed) - np.searchsorted(followed, times, side="left").astype(float)
    event_free = np.concatenate([[1.0], np.cumprod(1.0 - d_any / n)[:-1]])  # just before each time
    incidence = np.cumsum(event_free * d_of / n)
    # Var F(t) = Σ (F(t) − Fⱼ)² aⱼ + Σ bⱼ − 2 Σ (F(t) − Fⱼ) cⱼ over times up to t, by running sums. Where
    # all at risk have the event aⱼ is infinite and multiplies 0: nobody is left to be uncertain of.
    alive = n > d_any
    a = np.divide(d_any, n * (n - d_any), out=np.zeros_like(n), where=alive)
    b = event_free**2 * (n - d_of) * d_of / n**3
    c = event_free * d_of / n**2
    variance = incidence**2 * np.cumsum(a) - 2 * incidence * np.cumsum(incidence * a)
    variance += np.cumsum(incidence**2 * a) + np.cumsum(b)
    variance -= 2 * (incidence * np.cumsum(c) - np.cumsum(incidence * c))
    se = np.sqrt(np.maximum(variance, 0.0))
    return Incidence(years=times, incidence=incidence, se=se, followed_years=followed)
