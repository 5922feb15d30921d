"""Whose and when: the groups of an ORU message, and what each says of the ECGs in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from schemas.recorded import Urgency
from streams.feeds.mllp.identifiers import IdentifierChoice
from streams.feeds.mllp.message import Message, Segment
from streams.feeds.readers.moments import parse_moment
from streams.feeds.readers.options import ReadOptions

#: Priorities that mean at once: HL7 tables 0027 and 0485, and what people write.
_STAT = frozenset({"S", "STAT"})


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """One order of a message with its observations, and the patient and visit it stands under.

    Attributes
    ----------
    patient, visit, request : Segment or None
        PID, PV1 and OBR.
    timings : list of Segment
        ORC and TQ1.
    observations : list of Segment
        OBX, in order.
    """

    patient: Segment | None = None
    visit: Segment | None = None
    request: Segment | None = None
    timings: list[Segment] = field(default_factory=list)
    observations: list[Segment] = field(default_factory=list)


def orders_in(message: Message) -> Iterator[Order]:
    """Group the segments of an ORU message (HL7 v2.5.1 §7.3.1): patients, their visits, their orders.

    A new group begins with PID, with ORC, and with an OBR that no ORC announced.
    """
    order = Order()
    for segment in message.segments:
        match segment.name:
            case "PID":
                yield order
                order = Order(patient=segment)
            case "PV1":
                order.visit = segment
            case "ORC" | "TQ1":
                if order.observations or (segment.name == "ORC" and order.request):
                    yield order
                    order = Order(patient=order.patient, visit=order.visit)
                order.timings.append(segment)
            case "OBR":
                if order.observations or order.request:
                    yield order
                    order = Order(patient=order.patient, visit=order.visit)
                order.request = segment
            case "OBX":
                order.observations.append(segment)
    yield order


def options_of(
    order: Order, observation: Segment, message: Message, zone: tzinfo, choice: IdentifierChoice
) -> ReadOptions:
    """Say what the message knows of one observation beside its document.

    Parameters
    ----------
    zone : tzinfo
        The site's, for times without an offset where the message states none.
    """
    return ReadOptions(
        timezone=zone,
        acquired_at=_acquired_at(order, observation, message, zone),
        expected_patient_id=choice.of(order.patient, 3) if order.patient else "",
        site_id=message.header.component(4),
        ward_id=order.visit.component(3) if order.visit else "",
        urgency=_urgency(order),
    )


def _acquired_at(order: Order, observation: Segment, message: Message, zone: tzinfo) -> datetime | None:
    # OBR-7 is when the observation began, OBX-14 when this part of it did; most carts fill the first.
    texts = (order.request.component(7) if order.request else "", observation.component(14))
    moment = next(filter(None, map(parse_moment, texts)), None)
    if moment is None or moment.tzinfo is not None:
        return moment
    sent_at = parse_moment(message.header.component(7))
    # The zone of MSH-7 holds for all times of the message that carry none (HL7 v2.5.1 §2.15.9.7).
    stated = sent_at.tzinfo if sent_at is not None else None
    return moment.replace(tzinfo=stated or zone)


def _urgency(order: Order) -> Urgency:
    priorities = []
    if order.request is not None:
        priorities += [order.request.component(5), order.request.component(27, 6)]
    for timing in order.timings:
        priorities.append(timing.component(9) if timing.name == "TQ1" else timing.component(7, 6))
    is_stat = any(priority.upper() in _STAT for priority in priorities)
    return Urgency.STAT if is_stat else Urgency.ROUTINE
