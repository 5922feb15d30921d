from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.batcher import BatchLimits, MicroBatcher, Waiting


def limits(**overrides: float) -> BatchLimits:
    given = {"max_items": 4, "max_bytes": 100, "max_delay_s": 1.0, "room_items": 10, "room_bytes": 300}
    return BatchLimits(**{**given, **overrides})  # type: ignore[arg-type]


def put(
    batcher: MicroBatcher[str], items: str, partition: int = 0, now_s: float = 0.0, size: int = 1
) -> None:
    """Upper case is urgent."""
    for item in items:
        batcher.put(item, partition=partition, size_bytes=size, urgent=item.isupper(), now_s=now_s)


def taken(batcher: MicroBatcher[str], now_s: float) -> str:
    return "".join(waiting.item for waiting in batcher.take(now_s))


def test_nothing_is_due_while_nothing_waits() -> None:
    batcher = MicroBatcher[str](limits())
    assert batcher.due_at_s() is None
    assert batcher.take(1e9) == []


def test_the_deadline_counts_from_the_oldest_even_after_a_batch_has_left() -> None:
    batcher = MicroBatcher[str](limits(max_items=2))
    put(batcher, "a", now_s=0.0)
    put(batcher, "b", now_s=0.1)
    put(batcher, "c", now_s=0.9)
    assert taken(batcher, 0.9) == "ab"
    assert batcher.due_at_s() == pytest.approx(1.9)
    assert taken(batcher, 1.8) == ""
    assert taken(batcher, 1.9) == "c"


def test_a_batch_is_due_when_full_by_items_or_by_bytes() -> None:
    by_items, by_bytes = MicroBatcher[str](limits()), MicroBatcher[str](limits())
    put(by_items, "abcde")
    put(by_bytes, "abc", size=40)
    assert taken(by_items, 0.0) == "abcd"
    assert taken(by_bytes, 0.0) == "ab"


def test_a_record_larger_than_a_batch_goes_alone() -> None:
    batcher = MicroBatcher[str](limits())
    put(batcher, "a", size=1000)
    put(batcher, "b")
    assert taken(batcher, 0.0) == "a"


def test_an_urgent_record_is_due_at_once_and_takes_along_what_stands_before_it() -> None:
    batcher = MicroBatcher[str](limits())
    put(batcher, "ab", partition=0)
    put(batcher, "cDe", partition=1)
    assert batcher.due_at_s() == float("-inf")
    assert taken(batcher, 0.0) == "cDab"
    assert taken(batcher, 0.0) == ""


def test_urgent_records_go_in_the_order_they_came() -> None:
    batcher = MicroBatcher[str](limits(max_items=3))
    put(batcher, "aB", partition=5)
    put(batcher, "C", partition=1)
    assert taken(batcher, 0.0) == "aBC"


def test_the_rest_goes_by_age_over_all_partitions() -> None:
    batcher = MicroBatcher[str](limits())
    put(batcher, "a", partition=2)
    put(batcher, "b", partition=0)
    put(batcher, "c", partition=2)
    put(batcher, "d", partition=1)
    assert taken(batcher, 0.0) == "abcd"


def test_room_is_bounded_by_items_and_bytes_but_an_empty_room_takes_anything() -> None:
    batcher = MicroBatcher[str](limits())
    assert batcher.has_room(10_000)
    put(batcher, "a", size=250)
    assert batcher.has_room(50)
    assert not batcher.has_room(51)
    put(batcher, "bcdefghij", size=1)
    assert not batcher.has_room(1)


def test_clearing_returns_everyone_in_order_of_arrival() -> None:
    batcher = MicroBatcher[str](limits())
    put(batcher, "a", partition=1)
    put(batcher, "B", partition=0)
    put(batcher, "c", partition=1)
    assert batcher.clear() == ["a", "B", "c"]
    assert (len(batcher), batcher.size_bytes, batcher.due_at_s()) == (0, 0, None)


@pytest.mark.parametrize("wrong", ["max_items", "max_bytes", "room_items", "room_bytes"])
def test_limits_that_let_nothing_through_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        limits(**{wrong: 0})


class BatcherAgainstModel(RuleBasedStateMachine):
    """Plays arrivals and batches against plain lists, with a clock moved by hand."""

    @initialize(
        max_items=st.integers(1, 6), max_bytes=st.integers(1, 50), delay_s=st.sampled_from([0.0, 0.5, 3.0])
    )
    def begin(self, max_items: int, max_bytes: int, delay_s: float) -> None:
        self.limits = BatchLimits(
            max_items=max_items, max_bytes=max_bytes, max_delay_s=delay_s, room_items=20, room_bytes=200
        )
        self.batcher = MicroBatcher[int](self.limits)
        self.now_s = 0.0
        self.n_put = 0
        self.fifo: dict[int, deque[Waiting[int]]] = {}

    @precondition(lambda self: self.batcher.has_room(1))
    @rule(partition=st.integers(0, 3), size=st.integers(1, 60), urgent=st.booleans())
    def arrive(self, partition: int, size: int, urgent: bool) -> None:
        if not self.batcher.has_room(size):
            return
        item = self.n_put
        self.n_put += 1
        self.batcher.put(item, partition=partition, size_bytes=size, urgent=urgent, now_s=self.now_s)
        self.fifo.setdefault(partition, deque()).append(
            Waiting(
                item=item,
                partition=partition,
                size_bytes=size,
                urgent=urgent,
                arrival=item,
                arrived_s=self.now_s,
            )
        )

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0]))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def take(self) -> None:
        waiting = [w for queue in self.fifo.values() for w in queue]
        n_bytes = sum(w.size_bytes for w in waiting)
        oldest_s = min((w.arrived_s for w in waiting), default=float("inf"))
        due = bool(waiting) and (
            len(waiting) >= self.limits.max_items
            or n_bytes >= self.limits.max_bytes
            or any(w.urgent for w in waiting)
            or oldest_s + self.limits.max_delay_s <= self.now_s
        )
        batch = self.batcher.take(self.now_s)
        assert bool(batch) == due
        for entry in batch:  # a prefix of each partition: nothing lost, doubled or overtaken
            assert entry.item == self.fifo[entry.partition].popleft().item
        assert len(batch) <= self.limits.max_items
        assert len(batch) == 1 or sum(e.size_bytes for e in batch) <= self.limits.max_bytes
        self._urgent_first(batch)

    def _urgent_first(self, batch: list[Waiting[int]]) -> None:
        left_urgent = [w for queue in self.fifo.values() for w in queue if w.urgent]
        if not left_urgent:
            return
        # An urgent record stays behind only if everything taken was urgent or stood before an urgent one.
        for entry in batch:
            same = [e for e in batch if e.partition == entry.partition]
            urgent_behind = any(e.urgent and e.arrival >= entry.arrival for e in same)
            still_behind = any(w.partition == entry.partition for w in left_urgent)
            assert urgent_behind or still_behind

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "batcher"):
            assert len(self.batcher) == sum(len(queue) for queue in self.fifo.values())
            assert self.batcher.size_bytes == sum(w.size_bytes for q in self.fifo.values() for w in q)


TestBatcherAgainstModel = BatcherAgainstModel.TestCase


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40), st.integers(1, 5))
def test_draining_lets_everyone_out_once_in_partition_order(
    arrivals: list[tuple[int, bool]], size: int
) -> None:
    batcher = MicroBatcher[int](limits(max_items=size, room_items=100))
    for item, (partition, urgent) in enumerate(arrivals):
        batcher.put(item, partition=partition, size_bytes=1, urgent=urgent, now_s=0.0)
    out = []
    while batch := batcher.take(0.0, at_once=True):
        out += [(waiting.partition, waiting.item) for waiting in batch]
    assert sorted(item for _, item in out) == list(range(len(arrivals)))
    for partition in range(4):
        items = [item for p, item in out if p == partition]
        assert items == sorted(items)
