"""What shows an ECG without holding its samples: printed reports and pictures."""

from typing import NoReturn

from streams.feeds.document import Document
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason


def refuse_paper(document: Document, options: ReadOptions, limits: ReadLimits) -> NoReturn:
    """Say what to send instead.

    Raises
    ------
    FeedRefusedError
        Always: a drawn curve is no recording.
    """
    raise FeedRefusedError(
        "a printed report (PDF or picture) shows the ECG but holds no samples; "
        "export the recording itself (DICOM, aECG, MUSE or Philips XML, SCP-ECG)",
        RefusalReason.NO_WAVEFORM,
    )
