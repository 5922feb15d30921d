from datetime import UTC, datetime

import numpy as np
import pytest

from models.cohorts.simulated import Course, SimulatedPatient
from ops.bench.exports import exports
from ops.bench.readers import ReaderSpeed, table_of
from streams.feeds.plausibility import require_plausible_waveform
from streams.feeds.read import read
from streams.feeds.readers.options import ReadOptions
from streams.feeds.recognition import FORMATS, format_of

AT = datetime(2024, 2, 29, tzinfo=UTC)
ECG = SimulatedPatient(seed=1, course=Course(start=0.3, end=0.3)).record(AT)
DOCUMENTS = exports(ECG)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_export_reads_back_as_the_ecg_it_was_made_of(name: str) -> None:
    ecg = read(DOCUMENTS[name], ReadOptions(patient_id="P1", acquired_at=AT)).ecg
    require_plausible_waveform(ecg)
    assert ecg.sample_rate_hz == ECG.sample_rate_hz
    expected = ECG.samples[[ECG.lead_names.index(lead) for lead in ecg.lead_names]] * ECG.uv_per_unit
    np.testing.assert_allclose(ecg.samples * ecg.uv_per_unit, expected, atol=2.51)  # half of 5 µV


def test_every_format_but_containers_is_measured() -> None:
    measured = {format_of(document).module for document in DOCUMENTS.values()}
    assert measured == {known.module for known in FORMATS} - {"hl7_v2", "paper", "fhir"}


def test_the_table_has_a_row_for_each_format() -> None:
    speed = ReaderSpeed(name="EDF", n_bytes=120_000, per_s=900.0, pooled_per_s=700.0, peak_bytes=2_000_000)
    table = table_of((speed, speed))
    assert table.row_count == 2
    assert [next(iter(column.cells)) for column in table.columns] == ["EDF", "120", "900", "700", "2.0"]
