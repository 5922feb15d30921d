"""How fields of a panel look: names for people, units, thresholds, colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Colours that are told apart with any colour vision (Okabe and Ito), on dark and light.
LOW_COLOUR: Final = "#009E73"
BETWEEN_COLOUR: Final = "#E69F00"
HIGH_COLOUR: Final = "#D55E00"
NOT_SCORED_COLOUR: Final = "#808080"
LINE_COLOUR: Final = "#56B4E9"

#: Phenotypes of an assessment, and what each looks like.
PHENOTYPE_COLOURS: Final = {"LOW": LOW_COLOUR, "HIGH": HIGH_COLOUR, "NOT_SCORED": NOT_SCORED_COLOUR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How one field looks.

    Attributes
    ----------
    name : str
        In the answer.
    title : str
        For people.
    options : mapping
        Further properties by Grafana's ids, such as ``unit`` or ``custom.fillBelowTo``.
    """

    name: str
    title: str
    options: Mapping[str, Any] = field(default_factory=dict)


def overrides(fields: Sequence[Field]) -> list[dict[str, Any]]:
    """Write fields as Grafana's overrides."""
    return [
        {
            "matcher": {"id": "byName", "options": each.name},
            "properties": [
                {"id": "displayName", "value": each.title},
                *({"id": key, "value": setting} for key, setting in each.options.items()),
            ],
        }
        for each in fields
    ]


def steps(first: str, *above: tuple[float, str]) -> dict[str, Any]:
    """Write thresholds: the first colour below all, then each from its number on."""
    return {
        "mode": "absolute",
        "steps": [{"color": first, "value": None}, *({"color": c, "value": v} for v, c in above)],
    }


def word_colours(colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """Colour words, with the words themselves as text."""
    return [
        {
            "type": "value",
            "options": {
                word: {"color": colour, "index": index, "text": word.replace("_", " ").lower()}
                for index, (word, colour) in enumerate(colours.items())
            },
        }
    ]


def nothing_text(text: str) -> list[dict[str, Any]]:
    """Show a missing number as words; without this some panels write nothing at all."""
    return [{"type": "special", "options": {"match": "null", "result": {"index": 0, "text": text}}}]
