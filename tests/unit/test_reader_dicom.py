from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from schemas.leads import LEADS_12
from schemas.recorded import Sex
from streams.feeds.files import read_file
from streams.feeds.readers.options import ReadOptions
from streams.feeds.refusal import FeedRefusedError

SAMPLE = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))


def saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / "changed.dcm"
    dataset.save_as(path)
    return path


@pytest.fixture
def dataset() -> Dataset:
    return pydicom.dcmread(SAMPLE)


def test_samples_equal_pydicoms_own_microvolts_to_the_last_unit(dataset: Dataset) -> None:
    ecg = read_file(SAMPLE).ecg

    microvolts = dataset.waveform_array(0).T  # (12, 10000)
    np.testing.assert_array_equal(ecg.samples * ecg.uv_per_unit, microvolts)
    assert ecg.uv_per_unit == 1.25
    assert ecg.sample_rate_hz == 1000.0


def test_identity_and_demographics_come_from_the_file() -> None:
    ecg = read_file(SAMPLE).ecg

    assert ecg.lead_names == LEADS_12
    assert ecg.patient_id == "642341"
    assert ecg.source_uid == "1.3.6.1.4.1.20029.40.20130125105919.5407.1.1"
    assert (ecg.age_years, ecg.sex) == (42.0, Sex.FEMALE)
    assert ecg.source_system == "Mortara Instrument, Inc. el250"
    assert ecg.has_pacemaker is None


def test_local_time_without_offset_is_utc_unless_a_zone_is_given() -> None:
    assert read_file(SAMPLE).ecg.acquired_at == datetime(2013, 1, 25, 10, 59, 19, tzinfo=UTC)
    rome = ReadOptions(timezone=ZoneInfo("Europe/Rome"))
    assert read_file(SAMPLE, rome).ecg.acquired_at == datetime(2013, 1, 25, 9, 59, 19, tzinfo=UTC)


@pytest.mark.parametrize("where", ["in the value", "in the file"])
def test_an_offset_of_the_file_wins_over_the_option(dataset: Dataset, tmp_path: Path, where: str) -> None:
    if where == "in the value":
        dataset.AcquisitionDateTime = "20130125105919+0200"
    else:
        dataset.TimezoneOffsetFromUTC = "+0200"
    ecg = read_file(saved(dataset, tmp_path), ReadOptions(timezone=ZoneInfo("America/New_York"))).ecg
    assert ecg.acquired_at == datetime(2013, 1, 25, 8, 59, 19, tzinfo=UTC)


def test_the_zone_does_not_change_the_id_of_a_file_with_a_uid() -> None:
    rome = ReadOptions(timezone=ZoneInfo("Europe/Rome"))
    assert read_file(SAMPLE).ecg.ecg_id == read_file(SAMPLE, rome).ecg.ecg_id


def test_the_rhythm_group_is_taken_even_when_median_beats_come_first(
    dataset: Dataset, tmp_path: Path
) -> None:
    dataset.WaveformSequence = Sequence(list(reversed(dataset.WaveformSequence)))
    assert read_file(saved(dataset, tmp_path)).ecg.samples.shape == (12, 10_000)


def test_channels_of_different_sensitivity_come_to_one_scale(dataset: Dataset, tmp_path: Path) -> None:
    channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
    channels[3].ChannelSensitivity = "2.5"
    channels[4].ChannelSensitivity = "0.00125"
    channels[4].ChannelSensitivityUnitsSequence[0].CodeValue = "mV"
    channels[5].ChannelBaseline = "-50"
    before = read_file(SAMPLE).ecg

    ecg = read_file(saved(dataset, tmp_path)).ecg

    assert ecg.uv_per_unit == 1.25
    np.testing.assert_array_equal(ecg.samples[3], before.samples[3] * 2)
    np.testing.assert_array_equal(ecg.samples[4], before.samples[4])
    np.testing.assert_array_equal(ecg.samples[5], before.samples[5] - 40)


def test_age_comes_from_the_birth_date_where_no_age_is_given(dataset: Dataset, tmp_path: Path) -> None:
    del dataset.PatientAge
    assert read_file(saved(dataset, tmp_path)).ecg.age_years == 42.0


def test_a_pacemaker_in_the_acquisition_context_is_read(dataset: Dataset, tmp_path: Path) -> None:
    concept, answer, item = Dataset(), Dataset(), Dataset()
    concept.CodeMeaning, answer.CodeMeaning = "Pacemaker in situ", "Yes"
    item.ConceptNameCodeSequence, item.ConceptCodeSequence = Sequence([concept]), Sequence([answer])
    dataset.AcquisitionContextSequence.append(item)
    assert read_file(saved(dataset, tmp_path)).ecg.has_pacemaker is True


def test_a_file_without_a_moment_asks_for_one_and_takes_it(dataset: Dataset, tmp_path: Path) -> None:
    for keyword in ("AcquisitionDateTime", "ContentTime"):
        delattr(dataset, keyword)
    path = saved(dataset, tmp_path)
    with pytest.raises(FeedRefusedError, match="--acquired-at"):
        read_file(path)
    moment = datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    assert read_file(path, ReadOptions(acquired_at=moment)).ecg.acquired_at == moment


def test_a_file_without_a_patient_asks_for_one_and_takes_it(dataset: Dataset, tmp_path: Path) -> None:
    dataset.PatientID = ""
    path = saved(dataset, tmp_path)
    with pytest.raises(FeedRefusedError, match="--patient-id"):
        read_file(path)
    assert read_file(path, ReadOptions(patient_id="P1")).ecg.patient_id == "P1"


def _only_median_beats(dataset: Dataset) -> None:
    del dataset.WaveformSequence[0]


def _no_waveform(dataset: Dataset) -> None:
    del dataset.WaveformSequence


def _no_sensitivity(dataset: Dataset) -> None:
    del dataset.WaveformSequence[0].ChannelDefinitionSequence[2].ChannelSensitivity


def _degrees(dataset: Dataset) -> None:
    channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[2]
    channel.ChannelSensitivityUnitsSequence[0].CodeValue = "Cel"


def _a_lead_short(dataset: Dataset) -> None:
    channel = dataset.WaveformSequence[0].ChannelDefinitionSequence[8]
    channel.ChannelSourceSequence[0].CodeValue = "5.6.3-9-99"
    channel.ChannelSourceSequence[0].CodeMeaning = "Lead X"


def _padded(dataset: Dataset) -> None:
    group = dataset.WaveformSequence[0]
    counts = np.frombuffer(group.WaveformData, dtype="<i2").reshape(-1, 12).copy()
    counts[500:506, 1] = -32768
    group.WaveformData = counts.tobytes()
    group.add_new("WaveformPaddingValue", "OW", np.int16(-32768).tobytes())


def _companded(dataset: Dataset) -> None:
    dataset.WaveformSequence[0].WaveformBitsAllocated = 8
    dataset.WaveformSequence[0].WaveformSampleInterpretation = "MB"


def _a_zone_that_is_none(dataset: Dataset) -> None:
    dataset.TimezoneOffsetFromUTC = "+9900"


def _fewer_samples_than_promised(dataset: Dataset) -> None:
    dataset.WaveformSequence[0].WaveformData = dataset.WaveformSequence[0].WaveformData[:1000]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_only_median_beats, "median beats"),
        (_no_waveform, "without a waveform"),
        (_no_sensitivity, "no sensitivity"),
        (_degrees, "'Cel'"),
        (_a_lead_short, "missing V3"),
        (_padded, "6 of its samples are padding"),
        (_companded, "linear samples"),
        (_a_zone_that_is_none, "Timezone Offset From UTC"),
        (_fewer_samples_than_promised, "damaged or incomplete"),
    ],
)
def test_what_cannot_become_an_ecg_is_refused_with_the_reason(
    dataset: Dataset, tmp_path: Path, damage: object, reason: str
) -> None:
    damage(dataset)  # type: ignore[operator]
    with pytest.raises(FeedRefusedError, match=reason) as refusal:
        read_file(saved(dataset, tmp_path))
    assert "642341" not in str(refusal.value)


def _add_channel(dataset: Dataset, unit: str, meaning: str) -> None:
    """Put one more channel before the leads, loud and in ``unit``."""
    group = dataset.WaveformSequence[0]
    counts = np.frombuffer(group.WaveformData, dtype="<i2").reshape(-1, 12)
    loud = np.full((len(counts), 1), -32768, dtype=np.int16)
    group.WaveformData = np.hstack([loud, counts]).tobytes()
    group.NumberOfWaveformChannels = 13
    channel = deepcopy(group.ChannelDefinitionSequence[0])
    channel.ChannelSensitivity = "244"
    channel.ChannelSensitivityUnitsSequence[0].CodeValue = unit
    channel.ChannelSourceSequence[0].CodeValue = "5.6.3-9-0"
    channel.ChannelSourceSequence[0].CodeMeaning = meaning
    group.ChannelDefinitionSequence.insert(0, channel)


@pytest.mark.parametrize("unit", ["uV", "Ohm"])
def test_an_auxiliary_channel_costs_itself_alone(dataset: Dataset, tmp_path: Path, unit: str) -> None:
    _add_channel(dataset, unit, "Respiration by impedance of the chest")
    dataset.WaveformSequence[0].add_new("WaveformPaddingValue", "OW", np.int16(-32768).tobytes())
    reading = read_file(saved(dataset, tmp_path))
    whole = read_file(SAMPLE).ecg
    assert reading.ecg.lead_names == LEADS_12
    assert reading.ecg.uv_per_unit == whole.uv_per_unit
    np.testing.assert_array_equal(reading.ecg.samples, whole.samples)
    assert "Respiration by impedance…" in reading.notes[-1]


def test_a_padding_value_that_does_not_occur_changes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    dataset.WaveformSequence[0].add_new("WaveformPaddingValue", "OW", np.int16(-32768).tobytes())
    np.testing.assert_array_equal(
        read_file(saved(dataset, tmp_path)).ecg.samples, read_file(SAMPLE).ecg.samples
    )


def test_the_zone_a_local_time_was_read_in_is_noted(dataset: Dataset, tmp_path: Path) -> None:
    rome = ReadOptions(timezone=ZoneInfo("Europe/Rome"))
    assert read_file(SAMPLE, rome).notes == ("time carries no zone, read as Europe/Rome",)
    dataset.TimezoneOffsetFromUTC = "+0100"
    assert read_file(saved(dataset, tmp_path), rome).notes == ()


def test_an_age_nobody_has_is_read_as_unknown_and_noted(dataset: Dataset, tmp_path: Path) -> None:
    dataset.PatientAge = "999Y"
    reading = read_file(saved(dataset, tmp_path))
    assert reading.ecg.age_years is None
    assert "its age is none a person can have, read as unknown" in reading.notes
