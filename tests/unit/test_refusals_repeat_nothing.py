"""What refusals repeat of a file or a request: known words, nothing that may be a name or a number."""

import pytest
from planted import NAME, PATIENT_IDS, leaks
from pydantic import BaseModel, ConfigDict, ValidationError

from streams.feeds.http.problems import place_of
from streams.feeds.readers.leads import shown_word, shown_words


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    until: int


@pytest.mark.parametrize("name", [NAME, *PATIENT_IDS, "Doe", "4711", "V3 Doe", "lead Doe", "m4711x"])
def test_a_label_that_may_be_a_name_or_a_number_is_counted_and_not_repeated(name: str) -> None:
    assert shown_words(["II", name, "RESP"]) == "II, RESP, 1 of other names"
    assert shown_word(name) == "(unknown)"


@pytest.mark.parametrize(
    "name", ["aVR", "-aVR", "DII", "ECG2", "Resp chest", "MDC_ECG_LEAD_PACE", "mmHg", "V3R"]
)
def test_a_label_that_everybody_knows_is_repeated(name: str) -> None:
    assert shown_words([name]) == shown_word(name) == name


def test_a_field_that_there_is_not_is_not_named() -> None:
    with pytest.raises(ValidationError) as refused:
        Body.model_validate({PATIENT_IDS[0]: 1, "until": NAME})
    places = {place_of(fault) for fault in refused.value.errors()}
    assert places == {("a field that there is not",), ("until",)}
    assert leaks(("field", part.encode()) for place in places for part in place) == []
