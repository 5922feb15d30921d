"""Why a feed did not take a file."""

from typing import ClassVar

from schemas.errors import PoisonError


class FeedRefusedError(PoisonError):
    """This file cannot become an EcgRecorded; the message says what the sender or the operator can do."""

    code: ClassVar[str] = "FEED_REFUSED"
