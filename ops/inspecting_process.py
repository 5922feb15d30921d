"""A reader process for ``diastole inspect``: within the same bounds, but it gives what a gateway refuses.

What no ECG has is then refused beside the samples, so that they can be shown.
"""

import sys
from typing import Final

from streams.feeds.read import read
from streams.feeds.reading_process import main

#: Starts it.
INSPECTING_READER: Final = (sys.executable, "-m", "ops.inspecting_process")

if __name__ == "__main__":
    main(read)
