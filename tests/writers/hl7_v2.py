"""HL7 v2 messages as senders write them."""

import base64
from collections.abc import Iterable

MSH = "MSH|^~\\&|CART|ICU|DIASTOLE|HOSP|20260301081500+0100||{kind}|MSG0001|P|{version}{rest}"


def message(*segments: str, kind: str = "ORU^R01^ORU_R01", version: str = "2.5.1", rest: str = "") -> bytes:
    header = MSH.format(kind=kind, version=version, rest=rest)
    return "".join(f"{segment}\r" for segment in (header, *segments)).encode()


def encapsulated(document: bytes, number: int = 1, subtype: str = "XML") -> str:
    encoded = base64.b64encode(document).decode()
    return f"OBX|{number}|ED|93000^ECG^LN||^APPLICATION^{subtype}^Base64^{encoded}||||||F"


def oru(
    *observations: str,
    pid: str = "PID|1||P1^^^HOSP^MR~77^^^STATE^NI||Storm^Test",
    obr: str = "OBR|1|||93000^ECG^LN|||20260301080000",
    timing: Iterable[str] = (),
    version: str = "2.5.1",
    rest: str = "",
) -> bytes:
    segments = (pid, "PV1|1|I|W3^12^B", obr, *timing, *observations)
    return message(*(each for each in segments if each), version=version, rest=rest)


def fields(answer: bytes, name: str) -> list[list[str]]:
    """Fields of the segments of a name in an answer; the first is the name itself."""
    return [line.split("|") for line in answer.decode().split("\r") if line.startswith(name)]
