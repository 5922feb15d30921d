"""The DICOM listener: who may associate, which objects are negotiated, and an end in order."""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_P_ABORT
from pynetdicom.sop_class import (  # type: ignore[attr-defined] # made from a table when asked for
    AmbulatoryECGWaveformStorage,
    General32bitECGWaveformStorage,
    GeneralECGWaveformStorage,
    TwelveLeadECGWaveformStorage,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from schemas.errors import ConfigurationError
from streams.feeds.dicom.bounds import ASKED_PDU_BYTES, PeerBounds
from streams.feeds.dicom.storing import Storing

log = structlog.get_logger()

#: What is stored; all else is refused when the association is negotiated.
STORED: Final = (
    TwelveLeadECGWaveformStorage,
    GeneralECGWaveformStorage,
    General32bitECGWaveformStorage,
    AmbulatoryECGWaveformStorage,
)

TRANSFER_SYNTAXES: Final = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]

#: Connections beyond the associations allowed: room for those that are about to be rejected with a reason.
_CONNECTIONS_BEYOND: Final = 16

#: How long a sender that is asked to release may take, s.
_RELEASE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRules:
    """Who may associate, and for how long.

    Attributes
    ----------
    ae_title : str
        Ours; a sender that calls another is rejected.
    allowed : tuple of str
        Calling AE titles; empty: anybody.
    max_associations : int
        At a time; a further one is rejected for now.
    acse_timeout_s, dimse_timeout_s : float
        Longest wait for a step of an association, and for a message that has begun.
    network_timeout_s : float
        An association on which nothing comes for so long is ended; longer than the gateway takes to answer.
    """

    ae_title: str = "DIASTOLE"
    allowed: tuple[str, ...] = ()
    max_associations: int = 16
    acse_timeout_s: float = 30.0
    dimse_timeout_s: float = 60.0
    network_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        """Refuse titles that are none (PS3.5 §6.2, VR AE); raises ConfigurationError."""
        for title in (self.ae_title, *self.allowed):
            if not (title.strip() and title.isascii() and title.isprintable() and "\\" not in title) or (
                len(title) > 16
            ):
                raise ConfigurationError(
                    f"{title!r} is no AE title; use 1 to 16 printable ASCII characters without a backslash"
                )


@asynccontextmanager
async def listen(
    storing: Storing, bounds: PeerBounds, rules: AssociationRules, host: str, port: int
) -> AsyncIterator[tuple[str, int]]:
    """Take associations while the context lasts; yields the address.

    Leaving it stops accepting, answers what is in flight, asks senders to release, then aborts the rest.

    Raises
    ------
    ConfigurationError
        When the address cannot be had.
    """
    quieten_libraries()
    try:
        server = _started(storing, bounds, rules, host, port)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --host or --port"
        ) from None
    try:
        at, on = server.server_address[:2]
        yield str(at), int(on)
    finally:
        await asyncio.to_thread(server.shutdown)
        in_flight = storing.stop()
        await asyncio.gather(*map(asyncio.wrap_future, in_flight), return_exceptions=True)
        await _part(server.ae.active_associations)


def quieten_libraries() -> None:
    """Keep what pynetdicom and pydicom say to themselves: it quotes elements, which are a patient's."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        warnings.filterwarnings("ignore", module=name)


def _started(
    storing: Storing, bounds: PeerBounds, rules: AssociationRules, host: str, port: int
) -> ThreadedAssociationServer:
    entity = AE(ae_title=rules.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = list(rules.allowed)
    entity.maximum_associations = rules.max_associations
    entity.maximum_pdu_size = ASKED_PDU_BYTES
    entity.acse_timeout = rules.acse_timeout_s
    entity.dimse_timeout = rules.dimse_timeout_s
    entity.network_timeout = rules.network_timeout_s
    entity.add_supported_context(Verification)
    for sop_class in STORED:
        entity.add_supported_context(sop_class, TRANSFER_SYNTAXES)
    handlers: list[Any] = [
        (evt.EVT_CONN_OPEN, bounds.bind),
        (evt.EVT_PDU_RECV, bounds.check),
        (evt.EVT_C_STORE, storing.store),
        (evt.EVT_ACCEPTED, _say_accepted),
        (evt.EVT_REJECTED, _say_rejected),
        (evt.EVT_ABORTED, _say_aborted),
    ]
    starting = entity.start_server((host, port), block=False, evt_handlers=handlers)
    server = cast(ThreadedAssociationServer, starting)  # None only of a call that blocks
    most = rules.max_associations + _CONNECTIONS_BEYOND
    server.verify_request = lambda *_: len(server.active_associations) < most  # type: ignore[method-assign]
    return server


async def _part(associations: list[Association]) -> None:
    """End associations that are idle now: ask each sender to release, abort those that do not."""
    if not associations:
        return
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(associations)) as threads:
        await asyncio.gather(*(loop.run_in_executor(threads, _release, each) for each in associations))


def _release(association: Association) -> None:
    association.acse_timeout = association.dul.artim_timer.timeout = _RELEASE_S
    if association.requestor.primitive is None:
        _let_go(association)
        return
    if association.is_established:
        association.release()
    if association.is_alive():
        association.abort()


def _let_go(association: Association) -> None:
    """End a connection on which nobody has asked for an association yet: there is nothing to abort."""
    association.is_aborted = True
    association.dul.to_user_queue.put(A_P_ABORT())  # wakes its thread, which then closes the connection
    association.dul.kill_dul()


def _say_accepted(event: Event) -> None:
    log.info("association_accepted", feed="dicom", **_peer(event))


def _say_rejected(event: Event) -> None:
    log.warning("association_rejected", feed="dicom", **_peer(event))


def _say_aborted(event: Event) -> None:
    log.info("association_aborted", feed="dicom", **_peer(event))


def _peer(event: Event) -> dict[str, str]:
    requestor = event.assoc.requestor
    return {"calling": requestor.ae_title.strip(), "address": str(requestor.address)}
