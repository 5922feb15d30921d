"""One safe way to parse JSON: bounds held before it is parsed, and nothing in it that is no JSON."""

import json
import re
from collections import Counter
from typing import Any, Final, NoReturn

import numpy as np

from streams.feeds.limits import ReadLimits
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: A string, closed or not; possessive, so that none is looked at twice.
_STRING: Final = re.compile(rb'"(?>[^"\\]+|\\.)*+(?:"|\Z)', re.DOTALL)

#: A key that is a word can be named in a refusal; anything else may be somebody's.
_WORD: Final = re.compile(r"[A-Za-z_]{1,32}", re.ASCII)

_OPENING: Final = np.frombuffer(b"[{", dtype=np.uint8)
_CLOSING: Final = np.frombuffer(b"]}", dtype=np.uint8)


def parse_json(content: bytes, limits: ReadLimits) -> dict[str, Any]:
    """Parse an object: UTF-8 or UTF-16, no key twice in one object, no NaN or Infinity.

    Raises
    ------
    FeedRefusedError
        UNSAFE: it nests absurdly. TOO_LARGE: more values than allowed. DAMAGED: no JSON object, or one with a
        key twice.
    """
    text = _decoded(content)
    _require_bounded(text.encode(), limits)
    try:
        parsed = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise FeedRefusedError(
            f"damaged JSON (line {error.lineno}, column {error.colno}); send it again", RefusalReason.DAMAGED
        ) from None
    except RecursionError:
        raise _too_deep(limits) from None
    except ValueError:  # more digits than Python converts
        raise FeedRefusedError("a number in it has thousands of digits; send it again") from None
    if not isinstance(parsed, dict):
        raise FeedRefusedError("JSON, but no object; send one object for one ECG", RefusalReason.DAMAGED)
    return parsed


def named(key: str) -> str:
    """Name a key in a refusal where it is a word; what else it may hold is not repeated.

    >>> named("sample_rate_hz"), named("Doe, Jane")
    ("'sample_rate_hz'", 'one that is no word')
    """
    return f"'{key}'" if _WORD.fullmatch(key) else "one that is no word"


def _decoded(content: bytes) -> str:
    try:
        return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise FeedRefusedError("JSON that is not UTF-8; send it as UTF-8", RefusalReason.DAMAGED) from None


def _require_bounded(content: bytes, limits: ReadLimits) -> None:
    bare = _STRING.sub(b"", content)
    if bare.count(b"[") + bare.count(b"{") > limits.max_elements or bare.count(b",") > (
        limits.max_samples + limits.max_elements
    ):
        raise FeedRefusedError(
            "JSON of more values than are read; send the 10 s resting ECG alone", RefusalReason.TOO_LARGE
        )
    characters = np.frombuffer(bare, dtype=np.uint8)
    brackets = characters[np.isin(characters, [*_OPENING, *_CLOSING])]
    depth = np.cumsum(np.where(np.isin(brackets, _OPENING), 1, -1))
    if depth.size and int(depth.max()) > limits.max_depth:
        raise _too_deep(limits)


def _too_deep(limits: ReadLimits) -> FeedRefusedError:
    return FeedRefusedError(
        f"JSON nested deeper than {limits.max_depth}, which no ECG is; refused unread", RefusalReason.UNSAFE
    )


def _refuse_constant(name: str) -> NoReturn:
    raise FeedRefusedError(
        f"{name} is no JSON; leave out what was not recorded or measured", RefusalReason.DAMAGED
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    merged = dict(pairs)
    if len(merged) != len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise FeedRefusedError(
            f"a key stands twice in one object: {named(repeated)}; send it once", RefusalReason.DAMAGED
        )
    return merged
