"""Leads by the numbers of SCP-ECG and IEEE 11073, as DICOM and FHIR write them."""

from typing import Final

#: Lead numbers of SCP-ECG (EN 1064 table 5) and, the same, of ISO/IEEE 11073-10101 (PS3.16 CID 3001).
_LEAD_OF_NUMBER: Final = {
    1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR",
    3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6",
}  # fmt: skip

#: IEEE 11073 codes with their partition, 2 · 2^16, in front: of a lead, and of its electric potential.
_MDC_BASES: Final = (131_072, 131_072 + 256)


def coded_lead(code: str) -> str | None:
    """Return the lead of a code: ``5.6.3-9-1`` of SCPECG, ``2:1``, ``131073`` or ``131329`` of MDC.

    Returns
    -------
    str or None
        None when it is the code of none of the twelve leads.

    >>> [coded_lead(code) for code in ("5.6.3-9-1", "2:61", "131329", "131389", "131392", "2:9", "1")]
    ['I', 'III', 'I', 'III', 'aVF', None, None]
    """
    number = code.removeprefix("5.6.3-9-").removeprefix("2:")
    if not (number.isascii() and number.isdecimal() and len(number) <= 6):
        return None
    if number != code:
        return _LEAD_OF_NUMBER.get(int(number))
    return next((lead for base in _MDC_BASES if (lead := _LEAD_OF_NUMBER.get(int(number) - base))), None)
