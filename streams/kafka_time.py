"""Kafka timestamps as instants, whatever the producer wrote into them."""

from datetime import UTC, datetime, timedelta
from typing import Final

#: A day from either end of what a datetime can hold, so that a zone's offset still fits.
EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
LATEST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def instant_of(timestamp_ms: float) -> datetime:
    """Time of a record, in UTC.

    A producer may write any 64 bits as a record's time, some of which are no date. Those become the nearest
    that is one: far outside the years a record may be of, so that the record is refused for it where its
    time matters.

    Parameters
    ----------
    timestamp_ms : float
        Milliseconds since 1970, as in the record.

    Examples
    --------
    >>> instant_of(2**61) == LATEST, instant_of(-(2**61)) == EARLIEST
    (True, True)
    """
    if timestamp_ms >= (LATEST - _EPOCH) / timedelta(milliseconds=1):
        return LATEST
    if timestamp_ms <= (EARLIEST - _EPOCH) / timedelta(milliseconds=1):
        return EARLIEST
    return _EPOCH + timedelta(milliseconds=timestamp_ms)
