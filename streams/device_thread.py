"""The thread that owns the device: one at a time, in order, and never waited for by a worker that gives up.

Python waits for the threads of its own executors before a process may end. A call into a driver that never
returns would then keep a worker, which its watchdog has given up, from making room for a fresh one.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Out = TypeVar("Out")


class DeviceThread(Executor):
    """An executor of one daemon thread.

    Parameters
    ----------
    name : str
        Of the thread, for whoever looks at a hanging process.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, Out], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Out]":
        """Queue a call; what it returns or raises is the future's."""
        future: Future[Out] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                done = fn(*args, **kwargs)
            except BaseException as error:
                # Nothing is judged here: it is raised again where the future is awaited.
                future.set_exception(error)
            else:
                future.set_result(done)

        self._calls.put(call)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the thread end after the calls queued so far; nothing is cancelled.

        Parameters
        ----------
        wait : bool
            Return when it has ended.
        """
        self._calls.put(None)
        if wait:
            self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
