from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, FatalError, PoisonError, RetriableError
from streams.bisection import MemoryShortageError, run_bisecting


@given(st.lists(st.integers(0, 30), max_size=40))
def test_each_culprit_costs_itself_and_nobody_else(batch: list[int]) -> None:
    def work(numbers: Sequence[int]) -> list[int]:
        if any(number % 7 == 3 for number in numbers):
            raise PoisonError("three")
        return [number * 2 for number in numbers]

    results = run_bisecting("toy", work, batch)
    assert len(results) == len(batch)
    for number, result in zip(batch, results, strict=True):
        if number % 7 == 3:
            assert isinstance(result, PoisonError)
        else:
            assert result == number * 2


def test_a_batch_that_goes_well_is_worked_on_once() -> None:
    calls = []
    assert run_bisecting("toy", lambda batch: calls.append(len(batch)) or list(batch), [1, 2, 3]) == [1, 2, 3]
    assert calls == [3]


def test_an_empty_batch_is_no_work() -> None:
    assert run_bisecting("toy", lambda batch: pytest.fail("called"), []) == []


def test_one_culprit_in_thirty_two_costs_no_more_than_two_calls_a_level() -> None:
    calls = []

    def work(batch: Sequence[int]) -> list[int]:
        calls.append(len(batch))
        if 17 in batch:
            raise ValueError
        return list(batch)

    run_bisecting("toy", work, list(range(32)))
    assert len(calls) == 1 + 2 * 5  # log2(32) = 5 levels


@pytest.mark.parametrize(
    "error", [RetriableError("later"), FatalError("no more"), ConfigurationError("never")]
)
def test_an_error_that_is_not_about_a_record_is_not_split(error: Exception) -> None:
    calls = []

    def work(batch: Sequence[int]) -> list[int]:
        calls.append(len(batch))
        raise error

    with pytest.raises(type(error)):
        run_bisecting("toy", work, [1, 2, 3, 4])
    assert calls == [4]


def test_a_result_that_is_an_exception_stays_at_its_place() -> None:
    poison = PoisonError("this one")
    assert run_bisecting("toy", lambda batch: [1, poison], ["a", "b"]) == [1, poison]


def test_a_stage_that_loses_a_record_kills_the_records_it_cannot_account_for() -> None:
    results = run_bisecting("toy", lambda batch: list(batch)[1:], ["a", "b"])
    assert [type(result) for result in results] == [AssertionError, AssertionError]


def test_a_batch_too_large_for_the_memory_is_halved_and_costs_no_record() -> None:
    def work(batch: Sequence[int]) -> list[int]:
        if len(batch) > 3:
            raise MemoryError
        return [number * 2 for number in batch]

    assert run_bisecting("toy", work, list(range(11))) == [number * 2 for number in range(11)]


def test_a_record_the_memory_has_no_room_for_waits_and_is_not_dead() -> None:
    def work(batch: Sequence[int]) -> list[int]:
        raise MemoryError

    with pytest.raises(MemoryShortageError) as caught:
        run_bisecting("toy", work, [1, 2])
    assert caught.value.retriable


def test_an_error_of_no_known_kind_is_each_records_own_even_when_all_raise_it() -> None:
    def work(batch: Sequence[int]) -> list[int]:
        raise KeyError("a mistake of ours")

    assert [type(result) for result in run_bisecting("toy", work, [1, 2, 3])] == [KeyError] * 3
