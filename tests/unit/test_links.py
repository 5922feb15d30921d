"""Merges folded to survivors: in any order, any number of times, without circles."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.patient_link import PatientLinked
from streams.feeds.identity.links import Links, MergeRefusedError

START = datetime(2026, 3, 1, tzinfo=UTC)
TOLD = {"origin": "adt-a40", "actor": "engine"}


def link(prior: str, surviving: str, minute: int = 0, *, undone: bool = False) -> PatientLinked:
    return PatientLinked(
        prior_patient_id=prior,
        surviving_patient_id=surviving,
        linked_at=START + timedelta(minutes=minute),
        is_undone=undone,
        **TOLD,
    )


def test_who_was_never_merged_survives_as_themselves() -> None:
    assert Links().survivor_of("A") == "A"
    assert Links([link("A", "B")]).survivor_of("B") == "B"


def test_a_chain_is_followed_to_its_end() -> None:
    links = Links([link("A", "B", 1), link("B", "C", 2), link("C", "D", 3)])
    assert {each: links.survivor_of(each) for each in "ABCD"} == dict.fromkeys("ABCD", "D")


def test_merging_into_a_patient_already_merged_away_goes_to_the_survivor() -> None:
    links = Links([link("B", "C", 1)])
    record = links.merging("A", "B", now=START, **TOLD)
    assert record is not None
    assert record.surviving_patient_id == "B"
    links.enter(record)
    assert links.survivor_of("A") == "C"


def test_telling_a_merge_again_says_nothing_new() -> None:
    assert Links([link("A", "B")]).merging("A", "B", now=START, **TOLD) is None


def test_a_merge_elsewhere_replaces_the_one_before() -> None:
    links = Links([link("A", "B")])
    record = links.merging("A", "C", now=START, **TOLD)
    assert record is not None
    links.enter(record)
    assert (links.survivor_of("A"), links.survivor_of("B")) == ("C", "B")


@pytest.mark.parametrize(
    ("known", "prior", "surviving"),
    [
        ([link("A", "B")], "B", "A"),
        ([link("A", "B", 1), link("B", "C", 2)], "C", "A"),
        ([link("A", "B", 1), link("B", "X", 2)], "B", "A"),
    ],
    ids=["of two", "of three", "by linking anew"],
)
def test_a_circle_is_refused_with_what_to_do(known: list[PatientLinked], prior: str, surviving: str) -> None:
    with pytest.raises(MergeRefusedError, match="undo that first"):
        Links(known).merging(prior, surviving, now=START + timedelta(hours=1), **TOLD)


def test_a_patient_is_not_merged_into_itself() -> None:
    with pytest.raises(MergeRefusedError, match="the same patient's already"):
        Links().merging("A", "A", now=START, **TOLD)


def test_an_undone_merge_parts_the_two_again_and_may_be_told_once_more() -> None:
    links = Links([link("A", "B", 1)])
    undone = links.undoing("A", now=START + timedelta(minutes=2), **TOLD)
    assert undone is not None
    links.enter(undone)
    assert links.survivor_of("A") == "A"
    assert links.undoing("A", now=START + timedelta(minutes=3), **TOLD) is None
    again = links.merging("A", "B", now=START + timedelta(minutes=4), **TOLD)
    assert again is not None
    links.enter(again)
    assert links.survivor_of("A") == "B"


def test_what_was_never_merged_cannot_be_undone() -> None:
    with pytest.raises(MergeRefusedError, match="never merged"):
        Links().undoing("A", now=START, **TOLD)


def test_what_is_told_last_is_newest_even_by_a_gateway_whose_clock_runs_behind() -> None:
    links = Links([link("A", "B", 60)])
    undone = links.undoing("A", now=START, **TOLD)
    assert undone is not None
    assert undone.linked_at > START + timedelta(minutes=60)


def test_of_a_circle_told_by_two_gateways_at_once_the_newest_link_is_not_followed() -> None:
    for order in itertools.permutations([link("A", "B", 1), link("B", "C", 2), link("C", "A", 3)]):
        links = Links(order)
        assert [links.survivor_of(each) for each in "ABC"] == ["C", "C", "C"]


def test_a_family_is_all_links_to_one_survivor() -> None:
    links = Links([link("A", "B", 1), link("B", "C", 2), link("X", "Y", 3), link("D", "C", 4)])
    for each in "ABCD":
        assert [record.prior_patient_id for record in links.family_of(each)] == ["A", "B", "D"]
        assert links.identifiers_of(each) == frozenset("ABCD")
    assert links.family_of("Z") == ()
    assert links.identifiers_of("Z") == {"Z"}


IDS = st.sampled_from("ABCDEF")
RECORDS = st.lists(
    st.tuples(IDS, IDS, st.integers(0, 9), st.booleans())
    .filter(lambda told: told[0] != told[1])
    .map(lambda told: link(told[0], told[1], told[2], undone=told[3])),
    max_size=15,
)


@given(RECORDS, st.randoms())
def test_order_and_repeats_of_records_do_not_matter(records: list[PatientLinked], chance: object) -> None:
    shuffled = records + records[::2]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    links, again = Links(records), Links()
    for record in shuffled:
        again.enter(record)
        again.survivor_of("A")  # asked in between, which must not matter either
    assert [links.survivor_of(each) for each in "ABCDEF"] == [again.survivor_of(each) for each in "ABCDEF"]


@given(RECORDS)
def test_there_is_always_one_survivor_that_survives_as_itself(records: list[PatientLinked]) -> None:
    links = Links(records)
    for each in "ABCDEF":
        survivor = links.survivor_of(each)
        assert links.survivor_of(survivor) == survivor


@given(st.lists(st.tuples(IDS, IDS), max_size=20))
def test_merges_told_one_after_the_other_are_followed_or_refused(told: list[tuple[str, str]]) -> None:
    links = Links()
    for minute, (prior, surviving) in enumerate(told):
        try:
            record = links.merging(prior, surviving, now=START + timedelta(minutes=minute), **TOLD)
        except MergeRefusedError:
            continue
        if record is not None:
            links.enter(record)
        assert links.survivor_of(prior) == links.survivor_of(surviving)
