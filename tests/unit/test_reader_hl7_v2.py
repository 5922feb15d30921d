"""HL7 v2 messages and printed reports, delivered as files or kept whole."""

import pytest
from feed_storm import dicom_document, ecg_id_of
from writers.hl7_v2 import encapsulated, oru

from schemas.recorded import Urgency
from streams.feeds.document import Document
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError, RefusalReason

ECG = encapsulated(dicom_document(1, run=1), subtype="DICOM")


def test_the_one_ecg_of_a_message_is_read_with_what_the_message_says() -> None:
    content = oru(ECG, pid="PID|1||S1^^^HOSP^MR", obr="OBR|1|||E|S")
    ecg = read(Document(content=content)).ecg
    assert (ecg.ecg_id, ecg.source_format, ecg.patient_id) == (ecg_id_of(1, run=1), "DICOM", "S1")
    assert (ecg.site_id, ecg.ward_id, ecg.urgency) == ("ICU", "W3", Urgency.STAT)


def test_what_the_way_in_knows_wins_over_the_message() -> None:
    options = ReadOptions(site_id="north", ward_id="W9")
    ecg = read(Document(content=oru(ECG, pid="PID|1||S1")), options).ecg
    assert (ecg.site_id, ecg.ward_id) == ("north", "W9")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (oru(ECG, pid="PID|1||SOMEBODY"), RefusalReason.PATIENT_MISMATCH),
        (oru(ECG, encapsulated(b"<x/>", 2)), RefusalReason.UNSUPPORTED),
        (oru("OBX|1|NM|HR||72"), RefusalReason.NO_WAVEFORM),
        (oru("OBX|1|RP|ECG||\\\\share\\ecg.xml"), RefusalReason.UNSUPPORTED),
        (oru("OBX|1|ED|ECG||^A^XML^Base64^%%"), RefusalReason.DAMAGED),
        (oru(encapsulated(oru(ECG))), RefusalReason.UNSUPPORTED),
        (oru(encapsulated(b"%PDF-1.7", subtype="PDF")), RefusalReason.NO_WAVEFORM),
        (b"MSH|^~\\&|A\rMSH|^~\\&|B", RefusalReason.DAMAGED),
        (b"%PDF-1.7 ...", RefusalReason.NO_WAVEFORM),
        (b"\xff\xd8\xff\xe0 JFIF", RefusalReason.NO_WAVEFORM),
    ],
    ids=["another patient", "two", "none", "pointer", "damaged", "nested", "report in it", "two messages",
         "pdf", "jpeg"],
)  # fmt: skip
def test_what_holds_no_single_ecg_is_refused_with_the_reason(content: bytes, reason: RefusalReason) -> None:
    with pytest.raises(FeedRefusedError) as refused:
        read(Document(content=content))
    assert refused.value.reason is reason
    assert "SOMEBODY" not in str(refused.value)
