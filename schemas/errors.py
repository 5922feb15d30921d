"""The errors of Diastole: a small tree whose leaves state what the caller must do.

::

    DiastoleError
    ├── PoisonError       this one record can never be processed: dead-letter it, go on with the rest
    │   ├── DecodeError           its bytes are not the Avro they claim to be
    │   ├── UnknownSchemaError    nobody knows the schema it names
    │   └── InvalidRecordError    it decodes, but says what cannot be
    ├── RetriableError    nothing is wrong with the record: wait and do the same again
    ├── FatalError        this process cannot go on: acknowledge nothing, exit, be started anew
    └── ConfigurationError   the operator must change something: refuse to start

Callers branch on the class attribute ``retriable`` and write ``code`` into dead-letter headers. A message
never contains patient identifiers: it is copied into logs and headers.
"""

from typing import ClassVar


class DiastoleError(Exception):
    """Root of the tree."""

    code: ClassVar[str] = "ERROR"
    retriable: ClassVar[bool] = False


class PoisonError(DiastoleError):
    """This record can never be processed; it costs itself, not its batch."""

    code: ClassVar[str] = "POISON"


class DecodeError(PoisonError):
    """The bytes are not the Avro they claim to be."""

    code: ClassVar[str] = "DECODE"


class UnknownSchemaError(PoisonError):
    """The schema the message names is not known, or not one of ours."""

    code: ClassVar[str] = "UNKNOWN_SCHEMA"


class InvalidRecordError(PoisonError):
    """The record breaks a rule every record of its type obeys; the message names field and rule."""

    code: ClassVar[str] = "INVALID_RECORD"


class RetriableError(DiastoleError):
    """The same work may succeed later; nothing may be acknowledged until it did.

    Attributes
    ----------
    max_attempts : int or None
        After so many a process that tries again is to leave to a fresh one; None: it may try for ever.
    """

    code: ClassVar[str] = "RETRIABLE"
    retriable: ClassVar[bool] = True
    max_attempts: ClassVar[int | None] = None


class FatalError(DiastoleError):
    """This process cannot go on, whatever it is given; nothing more may be acknowledged.

    It leaves with a code that makes its supervisor start it anew, and the records are worked on again.
    """

    code: ClassVar[str] = "FATAL"


class ConfigurationError(DiastoleError):
    """The operator must act before this can run; the message says how."""

    code: ClassVar[str] = "CONFIGURATION"
