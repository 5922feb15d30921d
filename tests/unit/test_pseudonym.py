"""Pseudonyms: the same for the same patient, another for every other, and nothing without the key."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.invariants import require_patient
from streams.feeds.identity.pseudonym import Pseudonyms, normalised

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
NORTH = Pseudonyms(KEY, "north")


def test_the_same_identifier_has_the_same_pseudonym_in_another_process_and_year() -> None:
    # Pinned: a change of the derivation would part every patient from their history.
    assert NORTH.of("0012345") == "P-64CARZEG1QMBR1QCJAAREXF2J1PT3WX2"


@pytest.mark.parametrize(
    "spelling", [" 0012345", "0012345\n", "\t0012345 "], ids=["space before", "newline", "tab"]
)
def test_white_space_around_an_identifier_does_not_make_another_patient(spelling: str) -> None:
    assert NORTH.of(spelling) == NORTH.of("0012345")


def test_composed_and_decomposed_letters_are_one_patient() -> None:
    assert NORTH.of(unicodedata.normalize("NFD", "MÜ12")) == NORTH.of(unicodedata.normalize("NFC", "MÜ12"))


@pytest.mark.parametrize("other", ["12345", "0012345A", "00 12345", "0012345-"])
def test_leading_zeros_and_signs_tell_patients_apart(other: str) -> None:
    assert NORTH.of(other) != NORTH.of("0012345")


def test_case_tells_patients_apart() -> None:
    assert NORTH.of("ab1") != NORTH.of("AB1")


def test_one_number_of_two_hospitals_is_two_patients() -> None:
    assert NORTH.of("1") != Pseudonyms(KEY, "south").of("1")


def test_domain_and_number_do_not_flow_into_each_other() -> None:
    assert Pseudonyms(KEY, "a").of("bc") != Pseudonyms(KEY, "ab").of("c")


def test_another_key_gives_other_pseudonyms() -> None:
    assert NORTH.of("1") != Pseudonyms(OTHER_KEY, "north").of("1")


def test_without_a_key_identifiers_stay_as_they_are() -> None:
    assert Pseudonyms(None, "north").of(" 0012345 ") == " 0012345 "
    assert not Pseudonyms(None, "north").is_keyed
    assert NORTH.is_keyed


@given(st.text(min_size=1, max_size=64))
def test_every_pseudonym_is_a_patient_identifier_of_one_form(patient_id: str) -> None:
    pseudonym = NORTH.of(patient_id.encode("utf-8", "replace").decode())
    assert re.fullmatch("P-[0-9A-HJKMNP-TV-Z]{32}", pseudonym)
    require_patient(pseudonym)


@given(st.sets(st.text("0123456789ab ", min_size=1, max_size=8), min_size=2, max_size=50))
def test_two_patients_never_share_a_pseudonym(patients: set[str]) -> None:
    distinct = {normalised(patient) for patient in patients}
    assert len({NORTH.of(patient) for patient in patients}) == len(distinct)
