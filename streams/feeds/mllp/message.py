"""HL7 v2 messages, split only as far as somebody asks (HL7 v2.5.1 chapter 2).

The ``hl7`` library builds a tree of every component: one megabyte of separators takes it 3 s and 400 MB, and
it drops escape sequences that it does not know. So a message here is its segments, each still in one piece,
and fields are cut out of them by number. An ECG is one field of a million characters.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from schemas.errors import PoisonError
from streams.feeds.mllp.character_sets import decode

#: An ORU with a hundred measurements has some hundred segments.
MAX_SEGMENTS: Final = 20_000

#: Base64 of 32 MiB in lines of 76 characters has 440 000.
_MAX_LINES: Final = 500_000

#: Separators where MSH-2 leaves them out.
_USUAL: Final = "^~\\&"

_LINE_END: Final = re.compile(r"\r\n|\r|\n")

_SEGMENT_ID: Final = re.compile(r"[A-Z][A-Z0-9]{2}")


class Hl7Error(PoisonError):
    """This is no HL7 v2 message, or lacks what it must have; the message says what."""

    code = "HL7_MESSAGE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimiters:
    """The separators a message declares in MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def encoding_characters(self) -> str:
        """MSH-2 without the truncation character."""
        return self.component + self.repetition + self.escape + self.subcomponent


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment.

    Attributes
    ----------
    text : str
        Whole, with its id, as sent.
    delimiters : Delimiters
    number : int
        Which of its kind it is, from 1: the segment sequence of an error location.
    """

    text: str
    delimiters: Delimiters
    number: int

    @property
    def name(self) -> str:
        """Its id: ``MSH``, ``OBX``."""
        return self.text[:3]

    def field(self, number: int) -> str:
        """Return a field as sent, from 1, escape sequences and all; empty when there is none."""
        # MSH-1 is the separator itself, so that the fields of MSH are counted one further.
        position = number - 1 if self.name == "MSH" else number
        parts = self.text.split(self.delimiters.field, position + 1)
        return parts[position] if len(parts) > position else ""

    def repetitions(self, number: int) -> list[str]:
        """Return the repetitions of a field."""
        return self.field(number).split(self.delimiters.repetition)

    def component(self, number: int, component: int = 1) -> str:
        """Return a component of a field's first repetition, from 1, without surrounding blanks."""
        return self.part(self.repetitions(number)[0], component)

    def part(self, repetition: str, component: int) -> str:
        """Return a component of a repetition, from 1; its first subcomponent where it has several."""
        parts = repetition.split(self.delimiters.component, component)
        whole = parts[component - 1] if len(parts) >= component else ""
        return whole.split(self.delimiters.subcomponent, 1)[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Message:
    """One message.

    Attributes
    ----------
    segments : sequence of Segment
        MSH first.
    codec : str
        Python's name of the character set it was read in.
    """

    segments: Sequence[Segment]
    delimiters: Delimiters
    codec: str

    @property
    def header(self) -> Segment:
        """Its MSH segment."""
        return self.segments[0]

    @property
    def kind(self) -> str:
        """Message code, MSH-9.1: ``ORU``."""
        return self.header.component(9, 1).upper()

    @property
    def trigger(self) -> str:
        """Trigger event, MSH-9.2: ``R01``."""
        return self.header.component(9, 2).upper()

    def named(self, name: str) -> Iterator[Segment]:
        """Give the segments of a name in order."""
        return (segment for segment in self.segments if segment.name == name)


def parse_message(content: bytes) -> Message:
    r"""Split a message into its segments.

    Segments may end with CR, LF or both. A line that begins with no segment id goes on with the line before
    it: senders wrap long fields and leave the line ends of XML in them.

    Raises
    ------
    Hl7Error
        When it does not begin with MSH or has too many segments.

    >>> message = parse_message(b"MSH|^~\\&|CART|ICU|||||ORU^R01|7|P|2.5\r\nPID|||123^^^H^MR\n")
    >>> message.kind, message.trigger, [segment.name for segment in message.segments]
    ('ORU', 'R01', ['MSH', 'PID'])
    """
    first = _first_line(content)
    delimiters = delimiters_in(first)
    declared = Segment(first, delimiters, 1).repetitions(18)[0]
    text, codec = decode(content.strip(b"\r\n"), declared)
    if max(text.count("\r"), text.count("\n")) > _MAX_LINES:
        raise Hl7Error(f"more than {_MAX_LINES} lines; send each ECG in a message of its own")
    segments = tuple(islice(_segments(text, delimiters), MAX_SEGMENTS + 1))
    if len(segments) > MAX_SEGMENTS:
        raise Hl7Error(f"more than {MAX_SEGMENTS} segments; send each ECG in a message of its own")
    if sum(1 for segment in segments if segment.name == "MSH") > 1:
        raise Hl7Error("several MSH segments in one frame; send each message in a frame of its own")
    return Message(segments=segments, delimiters=delimiters, codec=codec)


def delimiters_in(header: str) -> Delimiters:
    """Read the separators out of the text of an MSH segment.

    Raises
    ------
    Hl7Error
        When it is none, or its separators are not different signs.
    """
    if not header.startswith("MSH") or len(header) < 5:
        raise Hl7Error("it does not begin with an MSH segment; send HL7 v2 in its pipe form")
    stated = header[4:].split(header[3], 1)[0][:4]
    signs = header[3] + stated + _USUAL[len(stated) :]
    if len(set(signs)) != len(signs) or any(sign.isalnum() or sign.isspace() for sign in signs):
        raise Hl7Error("MSH-1 and MSH-2 do not name five different separators; use |^~\\&")
    return Delimiters(
        field=signs[0], component=signs[1], repetition=signs[2], escape=signs[3], subcomponent=signs[4]
    )


def _first_line(content: bytes) -> str:
    line = content.lstrip(b"\r\n")[:4096].removeprefix(b"\xef\xbb\xbf")
    return _LINE_END.split(line.decode("latin-1"), maxsplit=1)[0]


def _segments(text: str, delimiters: Delimiters) -> Iterator[Segment]:
    seen: dict[str, int] = {}
    lines: list[str] = []
    for line in _LINE_END.split(text.removeprefix("\ufeff")):
        if lines and _begins_segment(line, delimiters):
            yield _numbered(lines, delimiters, seen)
            lines = []
        lines.append(line)
    yield _numbered(lines, delimiters, seen)


def _begins_segment(line: str, delimiters: Delimiters) -> bool:
    return _SEGMENT_ID.match(line) is not None and line[3:4] in ("", delimiters.field)


def _numbered(lines: list[str], delimiters: Delimiters, seen: dict[str, int]) -> Segment:
    name = lines[0][:3]
    seen[name] = seen.get(name, 0) + 1
    return Segment("\n".join(lines).rstrip("\n"), delimiters, seen[name])
