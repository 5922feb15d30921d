"""Numeric libraries that are loaded already, as they always are when settings are read, obey the setting."""

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from streams.settings import Settings
from streams.worker import limit_threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(2):
        yield


def threads_of_pools() -> set[int]:
    return {int(pool["num_threads"]) for pool in threadpool_info()}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("setting", "threads"), [(1, {1}), (0, {2})])
def test_pools_take_as_many_threads_as_the_setting_and_0_leaves_them(setting: int, threads: set[int]) -> None:
    assert threads_of_pools() == {2}
    limit_threads(setting)
    assert threads_of_pools() == threads


def test_one_thread_a_worker_is_the_default() -> None:
    assert Settings().threads == 1
