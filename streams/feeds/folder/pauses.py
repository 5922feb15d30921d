"""When to try again what did not work: pauses that double."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Pauses:
    """Pauses by what they are about: a file that cannot be opened, the folder, Kafka.

    Attributes
    ----------
    first_s, most_s : float
        First and longest pause, s.
    until_s : dict
        When each may be tried again, seconds of the clock passed in.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    until_s: dict[str, float] = field(default_factory=dict)
    _last_s: dict[str, float] = field(default_factory=dict)

    def fail(self, what: str, now_s: float) -> float:
        """Note a failure and return the pause, s: twice the one before.

        >>> pauses = Pauses(first_s=1.0, most_s=3.0)
        >>> [pauses.fail("x", 0.0) for _ in range(3)]
        [1.0, 2.0, 3.0]
        """
        pause_s = min(2.0 * self._last_s.get(what, self.first_s / 2.0), self.most_s)
        self._last_s[what] = pause_s
        self.until_s[what] = now_s + pause_s
        return pause_s

    def left_s(self, what: str, now_s: float) -> float:
        """How long not to try yet, s; 0 when it may be tried."""
        return max(0.0, self.until_s.get(what, now_s) - now_s)

    def succeed(self, what: str) -> bool:
        """Note a success; whether there were failures before it."""
        self.until_s.pop(what, None)
        return self._last_s.pop(what, None) is not None

    def keep_only(self, those: "set[str]") -> None:
        """Forget what is not there any more."""
        for gone in self._last_s.keys() - those:
            self.succeed(gone)
