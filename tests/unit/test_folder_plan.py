from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.feeds.admission import Ending
from streams.feeds.folder.entries import Bundle, Entry, Outcome, Taken
from streams.feeds.folder.names import is_taken_note_of
from streams.feeds.folder.pauses import Pauses
from streams.feeds.folder.plan import Plan, Rules, Sighting, decide, remember, settled_headers

RULES = Rules(settle_s=2.0, patience_s=60.0)
HEADER = "ward/ecg.hea"
SIGNALS = ("ecg.dat", "ecg.xyz")


def entry(path: str = "ecg.dcm", *, n_bytes: int = 100, mtime_ns: int = 1, inode: int = 1) -> Entry:
    return Entry(path=path, n_bytes=n_bytes, mtime_ns=mtime_ns, inode=inode)


def seen(*entries: Entry, since_s: float = 0.0) -> dict[str, Sighting]:
    return {each.path: Sighting(entry=each, since_s=since_s) for each in entries}


def row_of(bundle: Bundle) -> Taken:
    return Taken(
        identity=bundle.main.identity(),
        companions=bundle.companions_identity(),
        outcome=Outcome(ending=Ending.ACCEPTED),
    )


def planned(
    sightings: dict[str, Sighting],
    *taken: Taken,
    now_s: float = 10.0,
    names: dict[str, tuple[str, ...]] | None = None,
    held: dict[str, float] | None = None,
    rules: Rules = RULES,
) -> Plan:
    named = {sightings[path].entry.identity(): names[path] for path in names or {}}
    return decide(sightings, named, {row.identity: row for row in taken}, held or {}, now_s, rules)


def test_a_file_is_taken_once_it_stood_still_long_enough() -> None:
    file = entry()
    at_first = remember({}, [file], 5.0)
    assert planned(remember(at_first, [file], 6.9), now_s=6.9).take == ()
    assert planned(at_first, now_s=6.9).n_waiting == 1
    assert planned(remember(at_first, [file], 7.0), now_s=7.0).take == (Bundle(main=file),)


def test_a_file_that_changes_begins_to_settle_anew() -> None:
    first, grown = entry(), entry(n_bytes=200, mtime_ns=2)
    sightings = remember(remember({}, [first], 0.0), [grown], 1.9)
    assert planned(sightings, now_s=3.8).take == ()
    assert planned(sightings, now_s=3.9).take == (Bundle(main=grown),)


def test_a_renamed_file_settles_under_its_new_name_and_the_old_one_is_forgotten() -> None:
    sightings = remember(seen(entry("a.dcm.part")), [entry("a.dcm")], 5.0)
    assert set(sightings) == {"a.dcm"}
    assert planned(sightings, now_s=7.0).n_due == 1


def test_an_empty_file_is_never_taken() -> None:
    plan = planned(seen(entry(n_bytes=0)))
    assert (plan.take, plan.n_stuck) == ((), 1)


def test_the_oldest_file_is_taken_first_and_no_more_than_so_many() -> None:
    files = [entry(f"{n}.dcm", mtime_ns=10 - n) for n in range(5)]
    plan = planned(seen(*files), rules=replace(RULES, most=3))
    assert [bundle.main.path for bundle in plan.take] == ["4.dcm", "3.dcm", "2.dcm"]
    assert plan.n_due == 5


def test_what_was_taken_is_only_moved() -> None:
    bundle = Bundle(main=entry())
    plan = planned(seen(bundle.main), row_of(bundle))
    assert (plan.take, plan.move) == ((), ((bundle, row_of(bundle)),))


def test_what_was_taken_is_left_alone_where_files_are_kept() -> None:
    bundle = Bundle(main=entry())
    plan = planned(seen(bundle.main), row_of(bundle), rules=replace(RULES, keeps_files=True))
    assert (plan.take, plan.move, plan.n_kept) == ((), (), 1)


def test_another_file_under_the_name_of_one_that_was_taken_is_taken() -> None:
    before = row_of(Bundle(main=entry()))
    for other in (entry(n_bytes=101), entry(mtime_ns=2), entry(inode=2)):
        assert planned(seen(other), before).take == (Bundle(main=other),)


def test_a_held_file_waits_for_its_time_and_is_then_tried() -> None:
    sightings = seen(entry())
    assert planned(sightings, held={"ecg.dcm": 11.0}).n_held == 1
    assert planned(sightings, held={"ecg.dcm": 11.0}, now_s=11.0).n_due == 1


class TestWfdb:
    header = entry(HEADER)
    dat = entry("ward/ecg.dat")
    xyz = entry("ward/ecg.xyz")

    def test_signals_alone_wait_for_their_header(self) -> None:
        plan = planned(seen(self.dat, self.xyz))
        assert (plan.take, plan.n_stuck) == ((), 2)

    def test_a_header_is_opened_only_when_it_stands_still(self) -> None:
        assert settled_headers(seen(self.header, self.dat), 1.9, RULES) == []
        assert settled_headers(seen(self.header, self.dat), 2.0, RULES) == [self.header]
        assert planned(seen(self.header)).n_waiting == 1

    def test_a_header_with_its_signal_files_is_one_document(self) -> None:
        sightings = seen(self.header, self.dat, self.xyz)
        plan = planned(sightings, names={HEADER: SIGNALS})
        assert plan.take == (Bundle(main=self.header, companions=(self.dat, self.xyz)),)
        assert (plan.n_due, plan.n_waiting, plan.n_stuck) == (1, 0, 0)

    def test_a_signal_file_of_any_suffix_belongs_to_the_header_that_names_it(self) -> None:
        sound = entry("ward/ecg.16")
        plan = planned(seen(self.header, sound), names={HEADER: ("ecg.16",)})
        assert plan.take == (Bundle(main=self.header, companions=(sound,)),)

    def test_signal_files_of_another_folder_are_not_taken_for_its_own(self) -> None:
        plan = planned(seen(self.header, entry("ecg.dat")), names={HEADER: ("ecg.dat",)})
        assert (plan.n_due, plan.n_waiting, plan.n_stuck) == (0, 1, 1)

    def test_it_waits_until_the_last_of_its_files_stands_still(self) -> None:
        sightings = seen(self.header, self.dat) | seen(self.xyz, since_s=9.0)
        assert planned(sightings, names={HEADER: SIGNALS}).take == ()
        assert planned(sightings, names={HEADER: SIGNALS}, now_s=11.0).n_due == 1

    def test_missing_signal_files_are_awaited_for_so_long_then_it_is_offered_incomplete(self) -> None:
        sightings = seen(self.header, self.dat)
        assert planned(sightings, names={HEADER: SIGNALS}, now_s=59.0).n_waiting == 1
        (bundle,) = planned(sightings, names={HEADER: SIGNALS}, now_s=60.0).take
        assert bundle == Bundle(main=self.header, companions=(self.dat,), is_whole=False)

    def test_a_record_that_was_moved_in_part_is_moved_on_and_not_read_again(self) -> None:
        whole = Bundle(main=self.header, companions=(self.dat, self.xyz))
        plan = planned(seen(self.header, self.xyz), row_of(whole), names={HEADER: SIGNALS})
        assert plan.take == ()
        assert [bundle.companions for bundle, _ in plan.move] == [(self.xyz,)]

    def test_new_signals_under_an_unchanged_header_are_taken(self) -> None:
        whole = Bundle(main=self.header, companions=(self.dat, self.xyz))
        newer = entry("ward/ecg.dat", mtime_ns=9)
        plan = planned(seen(self.header, newer, self.xyz), row_of(whole), names={HEADER: SIGNALS})
        assert len(plan.take) == 1


def test_names_of_unfinished_and_hidden_files_are_passed_over() -> None:
    unfinished = [
        ".ecg.dcm",
        "~ecg.dcm",
        "ecg.dcm~",
        "ecg.dcm.part",
        "ecg.PARTIAL",
        "ecg.dcm.filepart",
        "ecg.tmp",
        "Thumbs.db",
    ]
    assert not [name for name in unfinished if is_taken_note_of(name)]
    finished = ["ecg.dcm", "IM000001", "part.xml", "tmp", "Müller 1.xml"]
    assert [name for name in finished if is_taken_note_of(name)] == finished


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    pauses = Pauses(first_s=1.0, most_s=5.0)
    assert [pauses.fail("x", 0.0) for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert pauses.left_s("x", 2.0) == 3.0
    assert pauses.succeed("x")
    assert not pauses.succeed("x")
    assert (pauses.left_s("x", 2.0), pauses.fail("x", 0.0)) == (0.0, 1.0)
    pauses.keep_only(set())
    assert pauses.fail("x", 0.0) == 1.0


ENTRIES = st.builds(
    Entry,
    path=st.sampled_from(["a.dcm", "b.xml", "c.hea", "c.dat", "d.dat", "e/f.hea", "e/f.dat"]),
    n_bytes=st.integers(0, 2),
    mtime_ns=st.integers(0, 2),
    inode=st.integers(0, 2),
)
LISTINGS = st.lists(ENTRIES, unique_by=lambda each: each.path)


@given(st.lists(LISTINGS, min_size=1, max_size=6), st.integers(0, 2))
def test_every_file_is_in_exactly_one_place_of_the_plan(listings: list[list[Entry]], n_taken: int) -> None:
    sightings: dict[str, Sighting] = {}
    for second, listing in enumerate(listings):
        sightings = remember(sightings, listing, float(second))
    now_s = float(len(listings) - 1)
    headers = settled_headers(sightings, now_s, RULES)
    named = {header.identity(): (f"{header.path[-5]}.dat",) for header in headers}
    first = decide(sightings, named, {}, {}, now_s, RULES)
    rows = [row_of(bundle) for bundle in first.take[:n_taken]]
    plan = decide(sightings, named, {row.identity: row for row in rows}, {}, now_s, RULES)

    bundles = [*plan.take, *(bundle for bundle, _ in plan.move)]
    paths = [each.path for bundle in bundles for each in bundle.entries]
    assert len(paths) == len(set(paths))
    assert len(plan.move) == len(rows)
    claimed = {path.replace(".hea", ".dat") for path in sightings if path.endswith(".hea")}
    documents = [path for path, each in sightings.items() if each.entry.identity() in named] + [
        path for path in sightings if not path.endswith((".hea", ".dat"))
    ]
    assert plan.n_due + len(plan.move) + plan.n_waiting + plan.n_stuck >= len(documents)
    for bundle in bundles:
        for each in bundle.entries:
            assert each.n_bytes > 0
            assert now_s - sightings[each.path].since_s >= RULES.settle_s
        assert not bundle.main.path.endswith(".dat")
    assert {path for path in paths if path.endswith(".dat")} <= claimed


@given(ENTRIES, ENTRIES)
def test_identities_are_equal_for_equal_entries_alone(one: Entry, other: Entry) -> None:
    assert (one.identity() == other.identity()) == (one == other)
