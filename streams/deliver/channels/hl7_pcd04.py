"""A notice as IHE PCD-04 over MLLP, taken once it is acknowledged.

=====  ===============================================================================================
AA CA  taken
AE CE  refused, unless ERR says that the receiver is in trouble itself (206, 207): asked again later
AR CR  asked again later (HL7 v2.6 §2.9.2.2), unless ERR says that such messages are never taken (2xx)
=====  ===============================================================================================
"""

from dataclasses import dataclass
from typing import Final

from streams.deliver.channels.channel import ChannelRefusedError, ChannelRetryError, key_of_end
from streams.deliver.channels.mllp_exchange import MllpAddress, exchange
from streams.deliver.channels.notice import Notice
from streams.deliver.channels.pcd04_message import Parties, control_id, pcd04
from streams.feeds.mllp.message import Hl7Error, Message, parse_message

#: HL7 table 0357: record locked, application internal error.
_IN_TROUBLE: Final = frozenset({"206", "207"})

#: HL7 table 0357: message type, event, processing id or version not supported.
_NEVER: Final = frozenset({"200", "201", "202", "203"})

_KNOWN: Final = _IN_TROUBLE | _NEVER | frozenset({"0", "100", "101", "102", "103", "104", "204", "205"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Channel:
    """A :class:`~streams.deliver.channels.channel.RetractingChannel` to an MLLP listener."""

    name: str
    address: MllpAddress
    parties: Parties

    async def send(self, notice: Notice, key: str) -> None:
        """Report the alert; see :meth:`streams.deliver.channels.channel.Channel.send`."""
        answer = await exchange(self.address, self.name, pcd04(notice, key, self.parties))
        require_acknowledged(answer, self.name, control_id(key))

    async def retract(self, notice: Notice, key: str) -> None:
        """Report the end of the alert (phase ``end``, state ``inactive``)."""
        await self.send(notice, key_of_end(key))


def require_acknowledged(content: bytes, channel: str, sent_id: str) -> None:
    """Turn an acknowledgement that is none into an error; its texts, which may quote the patient, stay there.

    Raises
    ------
    ChannelRetryError
        When it may be taken later, or what came belongs to no message of ours.
    ChannelRefusedError
        When it never will.
    """
    try:
        message = parse_message(content)
    except Hl7Error:
        raise ChannelRetryError(f"{channel} answered what is no HL7 v2; see what listens there") from None
    msa = next(message.named("MSA"), None)
    if msa is None or msa.component(2) != sent_id:
        raise ChannelRetryError(f"{channel} acknowledged another message; it is asked again later")
    verdict, conditions = msa.component(1).upper()[-1:], _conditions(message)
    if verdict == "A":
        return
    said = f"{channel} answered {'reject' if verdict == 'R' else 'error'} ({_listed(conditions)})"
    if conditions & _IN_TROUBLE or (verdict == "R" and not conditions & _NEVER):
        raise ChannelRetryError(f"{said}; it is asked again later")
    raise ChannelRefusedError(f"{said}; see the receiver's log for the reason")


def _conditions(message: Message) -> frozenset[str]:
    codes = {segment.component(3) for segment in message.named("ERR")}
    return frozenset(codes & _KNOWN)


def _listed(conditions: frozenset[str]) -> str:
    return ", ".join(sorted(conditions)) or "no condition given"
