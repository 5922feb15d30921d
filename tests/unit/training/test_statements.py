"""What a bundle says of itself follows from what each of its parts was trained on."""

from dataclasses import replace

import pytest
from tiny_bundle import manifest

from models.manifest import LEARNT_PARTS, TrainingRecord
from models.training.statements import intended_use, limits, not_for


def record(*simulated_parts: str) -> TrainingRecord:
    return replace(manifest({}).training, simulated_parts=simulated_parts)


def test_bundle_of_simulated_people_alone_says_so() -> None:
    said = record(*LEARNT_PARTS)
    assert "trained on simulated ECGs alone" in not_for(said)
    assert "a simulated high-risk" in intended_use(said)
    assert limits(said)[0] == "Trained on simulated data only; not shown to work on patients."


@pytest.mark.parametrize(
    ("parts", "words"),
    [(("encoder",), "encoder"), (("motion", "ensemble"), "motion and ensemble")],
)
def test_bundle_in_part_simulated_says_which_parts(parts: tuple[str, ...], words: str) -> None:
    said = record(*parts)
    assert f"trained in part ({words}) on simulated ECGs" in not_for(said)
    assert limits(said)[0].startswith(f"Trained on simulated data in part: {words};")
    assert not any("only" in limit for limit in limits(said))


def test_label_is_called_simulated_only_where_it_was() -> None:
    for parts, is_said in ((("ensemble",), True), (("encoder", "motion"), False)):
        assert ("simulated high-risk" in intended_use(record(*parts))) == is_said
        assert any("The label is a rule" in limit for limit in limits(record(*parts))) == is_said


def test_bundle_of_patients_says_nothing_of_simulation_and_still_warns() -> None:
    said = record()
    assert "simulated" not in " ".join((intended_use(said), not_for(said), *limits(said)))
    assert "has not been shown to work on patients" in not_for(said)
