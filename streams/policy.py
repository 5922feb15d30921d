"""When risk becomes an alert: the site's policy, a versioned file checked before anything starts."""

import hashlib
import json
import math
import re
import tomllib
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigurationError

#: The policy that ships with Diastole.
DEFAULT_POLICY: Final = Path(__file__).parent / "policies" / "default.toml"

#: 32 bits tell a site's few dozen policies apart (a collision among 100: 1 in a million) and stay readable.
_DIGEST_HEX_DIGITS: Final = 8

_LABEL: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")


class PolicyError(ConfigurationError):
    """The policy cannot be used; the message names the key and what it must be."""

    code = "POLICY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One alert policy.

    Attributes
    ----------
    label : str
        The site's name for it; ``version`` in the file.
    enter_threshold : float
        Probability at or above which an ECG speaks for HIGH; (0, 1].
    exit_threshold : float
        Probability below which an ECG speaks for LOW; (0, enter_threshold).
    confirm_n, confirm_m : int
        A change of state needs n of the last m scored ECGs since the state last changed; 1 ≤ n ≤ m ≤ 20.
    lockout_h : float
        Hours of acquisition time after an alert during which the same patient raises none; 0 … 720.
    step_up : float
        Rise of probability since the last alert that breaks the lockout, and that makes an alerted episode
        alert a second time; (0, 1].

    Raises
    ------
    PolicyError
        From construction, when a number is out of range.
    """

    label: str
    enter_threshold: float
    exit_threshold: float
    confirm_n: int
    confirm_m: int
    lockout_h: float
    step_up: float

    def __post_init__(self) -> None:
        for key, fits, must in self._checks():
            if not fits:
                raise PolicyError(f"alert policy: {key} {must}; change it in the policy file")

    def _checks(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            (
                "version",
                bool(_LABEL.fullmatch(self.label)),
                "must be 1 to 40 letters, digits, '.', '_' or '-'",
            ),
            ("enter_threshold", 0 < self.enter_threshold <= 1, "must be above 0 and at most 1"),
            (
                "exit_threshold",
                0 < self.exit_threshold < self.enter_threshold,
                "must lie between 0 and enter_threshold",
            ),
            ("confirm_m", 1 <= self.confirm_m <= 20, "must be 1 to 20"),
            ("confirm_n", 1 <= self.confirm_n <= self.confirm_m, "must be 1 to confirm_m"),
            ("lockout_h", 0 <= self.lockout_h <= 720, "must be 0 to 720 hours"),
            ("step_up", 0 < self.step_up <= 1, "must be above 0 and at most 1"),
        )

    @property
    def version(self) -> str:
        """Label and digest of every field: two policies of the same version decide alike."""
        content = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return f"{self.label}+{hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_HEX_DIGITS]}"

    @property
    def lockout(self) -> timedelta:
        """The lockout as a span of acquisition time."""
        return timedelta(hours=self.lockout_h)


def load_policy(path: Path | None = None) -> Policy:
    """Read and check a policy file; None reads the shipped one.

    Raises
    ------
    PolicyError
        When the file cannot be read, a key is missing, unknown or of the wrong type, or out of range.
        The message names the file, the key and what to do.
    """
    source = path or DEFAULT_POLICY
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"))
        return parse_policy(table)
    except OSError as error:
        raise PolicyError(f"{source}: cannot be read ({error.strerror}); check DIASTOLE_POLICY") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{source}: is no TOML ({error}); correct the file") from None
    except PolicyError as error:
        raise PolicyError(f"{source}: {error}") from None


def parse_policy(table: dict[str, Any]) -> Policy:
    """Turn the keys of a policy file into a policy.

    Raises
    ------
    PolicyError
        As :func:`load_policy`, without the file's name.
    """
    types = {("version" if field.name == "label" else field.name): field.type for field in fields(Policy)}
    for key in sorted(types.keys() ^ table.keys()):
        act = "is missing; add it" if key in types else "is unknown; remove it or correct its spelling"
        raise PolicyError(f"alert policy: {key} {act}")
    read = {key: _typed(key, given, types[key]) for key, given in table.items()}
    return Policy(label=read.pop("version"), **read)


def _typed(key: str, given: Any, wanted: Any) -> Any:
    if wanted is float and type(given) in (int, float) and math.isfinite(given):
        return float(given)  # 8 and 8.0 are one policy and must have one digest
    if wanted is not float and type(given) is wanted:
        return given
    raise PolicyError(f"alert policy: {key} must be of type {wanted.__name__}; change it in the policy file")
