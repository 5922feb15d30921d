"""Everything Grafana is to have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.boards.alert_burden import burden_board
from ops.boards.alert_rules import rule_group
from ops.boards.board import Board
from ops.boards.data_sources import Source, sources
from ops.boards.operations import operations_board
from ops.boards.patient_trend import patient_board
from ops.boards.places import Places
from ops.boards.ward_worklist import ward_board
from streams.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Boards, data sources and alert rules, in the order in which one refers to the other."""

    sources: tuple[Source, ...]
    boards: tuple[Board, ...]
    rules: Mapping[str, Any]


def catalogue(places: Places, policy: Policy, api_token: str | None = None) -> Catalogue:
    """Describe everything; the same arguments give the same content.

    Parameters
    ----------
    policy : Policy
        Whose thresholds are drawn.
    api_token : str or None
        With it Grafana asks the read API; None keeps the one Grafana has.
    """
    return Catalogue(sources=sources(places, api_token), boards=boards(places, policy), rules=rule_group())


def boards(places: Places, policy: Policy) -> tuple[Board, ...]:
    """Describe the boards."""
    return (
        patient_board(places, policy),
        ward_board(places),
        burden_board(places),
        operations_board(),
    )
