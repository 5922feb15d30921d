"""How a worker's life ended: what its exit code and its last breath depend on."""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn


@dataclass(slots=True)
class Ending:
    """What is known of the end of a service, filled in by the service.

    Attributes
    ----------
    had_begun : bool
        It had everything it needs and began to work. A refusal after that is no wrong setting of this worker
        any more but a failure like others, and a fresh start may do better.
    incomplete : bool
        Something did not end: a call into a driver, Kafka's client, work that was under way. The process must
        not wait for it, and nothing of it may still reach Kafka.
    """

    had_begun: bool = False
    incomplete: bool = False


def end_at_once(exit_code: int) -> NoReturn:
    """End the process without waiting for threads, tasks or buffers, as SIGKILL would; only logs are flushed.

    Python otherwise joins every thread, and Kafka's client would go on telling the group that we are well.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
