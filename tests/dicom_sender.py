"""A cart or archive that sends by C-STORE: a real pynetdicom client."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

TIMEOUT_S = 10.0


class NotAssociatedError(OSError):
    """No association, or it ended before an answer came."""


def associated(
    port: int,
    *,
    calling: str = "CART1",
    called: str = "DIASTOLE",
    sop_class: str = TwelveLeadECGWaveformStorage,
    syntaxes: Sequence[UID] = (ExplicitVRLittleEndian,),
    timeout_s: float = TIMEOUT_S,
) -> Association:
    """Ask for an association, whatever becomes of it."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    entity.connection_timeout = timeout_s
    entity.add_requested_context(Verification)
    entity.add_requested_context(sop_class, list(syntaxes))
    return entity.associate("127.0.0.1", port, ae_title=called)


@contextmanager
def association(port: int, *, calling: str = "CART1", timeout_s: float = TIMEOUT_S) -> Iterator[Association]:
    """Give an established association and release it."""
    made = associated(port, calling=calling, timeout_s=timeout_s)
    if not made.is_established:
        raise NotAssociatedError
    try:
        yield made
    finally:
        if made.is_established:
            made.release()
        else:
            made.abort()


def send(made: Association, content: bytes) -> Dataset:
    """Store one object; returns the status that came back, empty when none did."""
    try:
        return made.send_c_store(pydicom.dcmread(BytesIO(content)))
    except RuntimeError as error:  # pynetdicom's word for an association that is gone
        raise NotAssociatedError from error
