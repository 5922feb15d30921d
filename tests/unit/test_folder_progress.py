import io
from dataclasses import replace

from rich.console import Console

from ops.folder_progress import Pace, describe, left_text, shown_backlog, shown_watch
from streams.feeds.admission import Ending
from streams.feeds.folder.tally import Tally


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=160, highlight=False), stream


def test_the_pace_counts_from_the_first_document_that_is_due() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.per_s(Tally(waiting=10)) is None
    clock.now_s = 60.0  # settling
    assert pace.per_s(Tally(due=10)) is None
    clock.now_s = 62.0
    assert pace.per_s(Tally(accepted=4, due=6)) == 2.0


def test_what_is_left_takes_as_long_as_the_pace_says() -> None:
    assert left_text(Tally(accepted=100, due=9_900), 100.0) == "100 a second, 99 s left"
    assert left_text(Tally(accepted=100, due=60_000), 100.0) == "100 a second, 10 min left"
    assert left_text(Tally(due=10), None) == ""


def test_trouble_is_said_beside_the_counts() -> None:
    whole = Tally(accepted=1, held=2, unreachable=True, held_up=True, only_moved=3)
    for part in ("2 that cannot be opened", "cannot be reached", "waiting for Kafka", "3 taken before"):
        assert part in describe(whole)


def test_without_a_terminal_a_line_is_written_now_and_then_and_at_the_end() -> None:
    clock = Clock()
    out, stream = console(terminal=False)
    with shown_backlog(out, clock) as tell:
        tally = Tally(due=1000)
        tell(tally)
        for _ in range(1000):
            clock.now_s += 0.01
            tally.count(Ending.ACCEPTED)
            tell(tally)
        tell(replace(tally))
    lines = stream.getvalue().splitlines()
    assert 5 <= len(lines) <= 8
    assert lines[0].startswith("0 of 1000; 0 accepted")
    assert "100 a second" in lines[1]
    assert lines[-1] == "1000 of 1000; 1000 accepted, 0 repeated, 0 quarantined"


def test_on_a_terminal_a_bar_tells_count_pace_and_endings() -> None:
    clock = Clock()
    out, stream = console(terminal=True)
    with shown_backlog(out, clock) as tell:
        tell(Tally(due=200))
        clock.now_s = 1.0
        tell(Tally(accepted=90, quarantined=10, due=100))
    shown = stream.getvalue()
    assert "100 of 200" in shown
    assert "50%" in shown
    assert "100 a second, 1 s left" in shown
    assert "90 accepted, 0 repeated, 10 quarantined" in shown


def test_a_watch_is_shown_on_a_terminal_alone() -> None:
    for terminal in (True, False):
        out, stream = console(terminal=terminal)
        with shown_watch(out, "north") as tell:
            tell(Tally(accepted=7))
        assert ("watching north: 7 accepted" in stream.getvalue()) == terminal
