"""Which topic feeds which stage: the one file that knows topic names and their order.

::

    ecg.recorded.v1 ─▶ featurize ─▶ ecg.featurized.v1 ─▶ infer ─▶ ecg.risk.v1 ─┬─▶ history
                                             │                                 └─▶ alert ─▶ ecg.alert.v1
                                             └─▶ infer-silent ─▶ ecg.risk-silent.v1

The last only where a bundle is on trial; nothing of the flow reads what it says. Beside the flow::

    ecg.patient-link.v1 ─▶ link         which histories are one patient's
    ecg.featurized.v1 ─▶ waveform       the newest strips, for whoever looks at them
"""

from dataclasses import dataclass
from typing import Final

ECG_RECORDED: Final = "ecg.recorded.v1"
ECG_FEATURIZED: Final = "ecg.featurized.v1"
ECG_RISK: Final = "ecg.risk.v1"
ECG_ALERT: Final = "ecg.alert.v1"

#: What a bundle on trial says of the same ECGs. No stage reads it: it cannot raise an alert.
ECG_RISK_SILENT: Final = "ecg.risk-silent.v1"

CARE_AUDIT: Final = "care.audit.v1"

#: Deliveries that feeds could not accept, and every act on them; the audit, kept for good.
ECG_QUARANTINE: Final = "ecg.quarantine.v1"

#: What was delivered then, in pieces; compacted, and emptied when a delivery is replayed or discarded.
ECG_QUARANTINE_CONTENT: Final = "ecg.quarantine-content.v1"

#: How each source of ECGs is doing; compacted, the newest of each.
FEED_HEALTH: Final = "feed.health.v1"

#: Patient identifiers that were merged into others; compacted, the newest of each prior identifier.
PATIENT_LINK: Final = "ecg.patient-link.v1"

#: Which dead letters were put back, by whom and when; what a replay is told of before it is done twice.
DEAD_LETTER_REPLAYED: Final = "dead-letter.replayed.v1"

#: Each patient's alert state, compacted; written and read by the alert stage alone.
ALERT_STATE: Final = "ecg.alert-state.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What one stage reads, where its results go, and where it keeps what it remembers of each patient.

    ``produces`` is None when the stage's effects are not on Kafka, ``remembers`` when it has no memory.

    Attributes
    ----------
    is_silent : bool
        It only looks on: an ECG does not end here. What it cannot process must not stand among the dead
        letters of its input, where it would say that the ECG got no answer.
    """

    stage: str
    consumes: str
    produces: str | None
    remembers: str | None = None
    is_silent: bool = False

    @property
    def dead_letters(self) -> str:
        """Where records go that this stage cannot process."""
        if self.is_silent:
            return dead_letter_topic(self.produces or f"{self.consumes}.{self.stage}")
        return dead_letter_topic(self.consumes)

    @property
    def group(self) -> str:
        """Consumer group of the stage; each stage scales by itself."""
        return f"diastole-{self.stage}"


#: The stages every ECG passes.
ROUTES: Final = {
    route.stage: route
    for route in (
        Route(stage="featurize", consumes=ECG_RECORDED, produces=ECG_FEATURIZED),
        Route(stage="infer", consumes=ECG_FEATURIZED, produces=ECG_RISK),
        Route(stage="history", consumes=ECG_RISK, produces=None),
        Route(stage="alert", consumes=ECG_RISK, produces=ECG_ALERT, remembers=ALERT_STATE),
    )
}

#: Infer once more, with a bundle that is on trial.
SILENT_ROUTE: Final = Route(
    stage="infer-silent", consumes=ECG_FEATURIZED, produces=ECG_RISK_SILENT, is_silent=True
)

#: Make histories of patients whose identifiers were merged be read as one. No ECG passes it.
LINK_ROUTE: Final = Route(stage="link", consumes=PATIENT_LINK, produces=None)

#: Keep the waveforms of the newest ECGs where pages find them. What it cannot keep is scored all the same.
WAVEFORM_ROUTE: Final = Route(stage="waveform", consumes=ECG_FEATURIZED, produces=None, is_silent=True)

#: Every stage there is.
ALL_ROUTES: Final = {
    **ROUTES,
    **{route.stage: route for route in (LINK_ROUTE, WAVEFORM_ROUTE, SILENT_ROUTE)},
}

#: What records flow through, and what people read.
TOPICS: Final = (ECG_RECORDED, ECG_FEATURIZED, ECG_RISK, ECG_RISK_SILENT, ECG_ALERT, CARE_AUDIT)


#: What feeds write beside the ECGs.
FEED_TOPICS: Final = (ECG_QUARANTINE, ECG_QUARANTINE_CONTENT, FEED_HEALTH, PATIENT_LINK)

#: What operators' commands write.
OPERATION_TOPICS: Final = (DEAD_LETTER_REPLAYED,)

#: Topics of which only the newest record of each key matters.
COMPACTED_FEED_TOPICS: Final = frozenset({ECG_QUARANTINE_CONTENT, FEED_HEALTH, PATIENT_LINK})


def route_of(stage: str) -> Route:
    """Route of a stage: one of the flow, one beside it, or the silent one.

    Raises
    ------
    KeyError
        When there is no such stage.
    """
    return ALL_ROUTES[stage]


def dead_letter_topic(topic: str) -> str:
    """Where records of ``topic`` go that cannot be processed."""
    return f"{topic}.dlq"


def state_topics() -> tuple[str, ...]:
    """Topics in which stages keep what they remember: compacted, no stage's input, without dead letters."""
    return tuple(route.remembers for route in ROUTES.values() if route.remembers is not None)
