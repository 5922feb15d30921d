import asyncio
import subprocess
import sys
import threading

import pytest

from streams.device_thread import DeviceThread


async def test_calls_run_one_at_a_time_in_order_on_one_thread() -> None:
    device = DeviceThread("toy-device")
    loop, ran = asyncio.get_running_loop(), []

    def call(number: int) -> str:
        ran.append(number)
        return threading.current_thread().name

    names = await asyncio.gather(*(loop.run_in_executor(device, call, number) for number in range(20)))
    device.shutdown()
    assert ran == list(range(20))
    assert set(names) == {"toy-device"}


def test_what_a_call_raises_is_raised_where_it_is_awaited_and_the_next_runs() -> None:
    device = DeviceThread("toy-device")
    broken, sound = device.submit(lambda: 1 // 0), device.submit(lambda: 7)
    with pytest.raises(ZeroDivisionError):
        broken.result(10)
    assert sound.result(10) == 7
    device.shutdown()


def test_a_cancelled_call_does_not_run() -> None:
    device, gate, ran = DeviceThread("toy-device"), threading.Event(), []
    device.submit(gate.wait)
    assert device.submit(ran.append, 1).cancel()
    gate.set()
    device.shutdown()
    assert not ran


def test_a_process_ends_although_a_call_hangs() -> None:
    program = (
        "import threading; from streams.device_thread import DeviceThread; d = DeviceThread('x');"
        "d.submit(threading.Event().wait); d.shutdown(wait=False)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
