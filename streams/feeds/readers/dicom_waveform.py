"""DICOM waveforms (PS3.3 C.10.9): the multiplex group of the rhythm recording, its channels as stored."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from models.leads import standard_name
from streams.feeds.limits import ReadLimits
from streams.feeds.readers.lead_codes import coded_lead
from streams.feeds.readers.leads import Picked, missing_leads, pick_leads
from streams.feeds.readers.scaling import Channel, microvolts_per
from streams.feeds.refusal import FeedRefusedError, RefusalReason

#: Sample interpretations (PS3.3 C.10.9.1.5) that are counts. MB and AB are companded: not linear in voltage.
_DTYPE: Final = {
    (8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2",
    (32, "SL"): "i4", (32, "UL"): "u4", (64, "SV"): "i8", (64, "UV"): "u8",
}  # fmt: skip
_COMPANDED: Final = frozenset({"MB", "AB"})

#: How vendors label groups of averaged beats; where one is not labelled, it is shorter than this, s.
_BEAT_WORDS: Final = ("MEDIAN", "REPRESENTATIVE", "AVERAGE", "TEMPLATE")
_SHORTEST_RHYTHM_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """Multiplex groups that were recorded at once, as one recording.

    Attributes
    ----------
    groups : sequence of Dataset
        Of one rate, length and start.
    names : sequence of str
        Of all channels, group by group: a standard name where the channel is one of the twelve leads.
    """

    groups: Sequence[Dataset]
    names: Sequence[str]

    @property
    def n_samples(self) -> int:
        """Samples of each channel, as declared."""
        return int(self.groups[0].NumberOfWaveformSamples)

    @property
    def sample_rate_hz(self) -> float:
        """Of each channel."""
        return float(self.groups[0].SamplingFrequency)

    @property
    def starts_ms(self) -> float:
        """Start of the recording after the file's acquisition time, ms."""
        return _number(self.groups[0], "MultiplexGroupTimeOffset")


def choose_recording(groups: Sequence[Dataset]) -> Recording:
    """Choose the longest original recording that carries the twelve leads; the longest when none does.

    Leads may be spread over groups that start together; averaged beats are never taken.

    Raises
    ------
    FeedRefusedError
        When there are only averaged beats.
    """
    rhythm = [group for group in groups if not _is_beat(group)]
    if not rhythm:
        raise FeedRefusedError(
            "only derived waveforms (median beats) in it; export the rhythm recording",
            RefusalReason.NO_WAVEFORM,
        )
    together: dict[tuple[float, int, float, bool], list[Dataset]] = defaultdict(list)
    for group in rhythm:
        one = _recording([group])
        together[one.sample_rate_hz, one.n_samples, one.starts_ms, _is_original(group)].append(group)
    recordings = [_recording([group]) for group in rhythm]
    recordings += [_recording(those) for those in together.values() if len(those) > 1]

    def worth(recording: Recording) -> tuple[bool, bool, int]:
        is_whole = not missing_leads(recording.names)
        return is_whole, all(map(_is_original, recording.groups)), recording.n_samples

    return max(recordings, key=worth)


def _recording(groups: Sequence[Dataset]) -> Recording:
    names = tuple(_lead_name(channel) for group in groups for channel in group.ChannelDefinitionSequence)
    return Recording(groups=groups, names=names)


def _is_original(group: Dataset) -> bool:
    return str(group.get("WaveformOriginality", "ORIGINAL")) == "ORIGINAL"


def _is_beat(group: Dataset) -> bool:
    label = str(group.get("MultiplexGroupLabel", "")).upper()
    seconds = int(group.NumberOfWaveformSamples) / (_number(group, "SamplingFrequency") or 1.0)
    return any(word in label for word in _BEAT_WORDS) or (
        not _is_original(group) and seconds < _SHORTEST_RHYTHM_S
    )


def _lead_name(channel: Dataset) -> str:
    """Name a channel by its code, else by the words of its code or its own label, which are free text."""
    source = (channel.get("ChannelSourceSequence") or [Dataset()])[0]
    code, meaning = str(source.get("CodeValue", "") or ""), str(source.get("CodeMeaning", "") or "")
    label = str(channel.get("ChannelLabel", "") or "")
    coded = coded_lead(code)
    if coded:
        return coded
    for words in (meaning, meaning.partition(",")[0], code, label):
        if standard_name(words) is not None:
            return words
    return meaning or label or code


def channels_of(recording: Recording, limits: ReadLimits, *, is_little_endian: bool) -> tuple[Channel, ...]:
    """Return the twelve leads among a recording's channels, in their order, as stored.

    Raises
    ------
    FeedRefusedError
        On samples that are companded, missing, more or fewer than declared, or of no stated voltage.
    """
    picked = pick_leads(recording.names)
    channels: list[Channel] = []
    first = 0
    for group in recording.groups:
        definitions = group.ChannelDefinitionSequence
        here = [pick for pick in picked if first <= pick.column < first + len(definitions)]
        if here:
            counts = _counts(group, limits, is_little_endian=is_little_endian)  # (n_samples, n_channels)
            columns = [pick.column - first for pick in here]
            _require_no_padding(counts[:, columns], group)
            channels += (
                _channel(definitions[column], counts[:, column], pick)
                for column, pick in zip(columns, here, strict=True)
            )
        first += len(definitions)
    return tuple(channels)


def _counts(group: Dataset, limits: ReadLimits, *, is_little_endian: bool) -> npt.NDArray[np.int64]:
    n_samples, n_channels = int(group.NumberOfWaveformSamples), int(group.NumberOfWaveformChannels)
    if n_samples * n_channels > limits.max_samples:
        raise FeedRefusedError(
            f"{n_samples} samples of {n_channels} channels are more than is read; export 10 s alone",
            RefusalReason.TOO_LARGE,
        )
    if n_channels != len(group.ChannelDefinitionSequence):
        raise FeedRefusedError(
            "the number of channels and of their definitions differ; export it again", RefusalReason.DAMAGED
        )
    dtype = _dtype(group, is_little_endian=is_little_endian)
    stored, declared = bytes(group.WaveformData), n_samples * n_channels * dtype.itemsize
    if len(stored) not in (declared, declared + declared % 2):  # values have an even length
        raise FeedRefusedError(
            f"damaged or incomplete DICOM: {len(stored)} bytes of samples where {declared} are declared; "
            "export it again",
            RefusalReason.DAMAGED,
        )
    return np.frombuffer(stored[:declared], dtype=dtype).reshape(n_samples, n_channels)


def _dtype(group: Dataset, *, is_little_endian: bool) -> "np.dtype[np.int64]":
    bits, interpretation = int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)
    if interpretation in _COMPANDED:
        raise FeedRefusedError(
            "its samples are companded (MB or AB); export it with linear samples", RefusalReason.UNSUPPORTED
        )
    kind = _DTYPE.get((bits, interpretation))
    # In big endian, words of 16 bits are swapped, and the order of the two in a sample of 32 is not stated.
    if kind is None or (bits > 16 and not is_little_endian):
        raise FeedRefusedError(
            "its samples are of no size that is read; export them with 16 bits, little endian",
            RefusalReason.UNSUPPORTED,
        )
    return np.dtype(f"{'<' if is_little_endian else '>'}{kind}")


def _require_no_padding(counts: npt.NDArray[np.int64], group: Dataset) -> None:
    """Refuse samples that bear the group's Waveform Padding Value: nothing was recorded there."""
    padding = group.get("WaveformPaddingValue")
    if padding is None or padding == b"":
        return
    # OB or OW: the bytes of one sample, and one more where that makes their number even
    if isinstance(padding, bytes):
        padding = int(np.frombuffer(padding, counts.dtype, count=1)[0])
    n_padded = int(np.count_nonzero(counts == padding))
    if n_padded:
        raise FeedRefusedError(
            f"{n_padded} of its samples are padding, not recorded; export a recording without gaps",
            RefusalReason.UNSUPPORTED,
        )


def _channel(definition: Dataset, counts: npt.NDArray[np.int64], pick: Picked) -> Channel:
    unit = (definition.get("ChannelSensitivityUnitsSequence") or [Dataset()])[0]
    if definition.get("ChannelSensitivity") in (None, "") or "CodeValue" not in unit:
        raise FeedRefusedError(
            "its channels carry no sensitivity, so no voltage; export it with calibration",
            RefusalReason.UNIT_UNKNOWN,
        )
    uv_per_sensitivity_unit = microvolts_per(str(unit.CodeValue))
    correction = _number(definition, "ChannelSensitivityCorrectionFactor") or 1.0
    uv_per_count = float(definition.ChannelSensitivity) * correction * uv_per_sensitivity_unit
    return Channel(
        name=pick.lead,
        # A value too large for int64 cannot be an ECG; the scaling refuses what wraps.
        counts=counts.astype(np.int64),
        uv_per_count=uv_per_count,
        offset_uv=_number(definition, "ChannelBaseline") * uv_per_sensitivity_unit,
        sign=pick.sign,
    )


def skew_note(recording: Recording) -> str:
    """Say where channels were sampled one after the other by more than a sample; empty when none was."""
    skews_s = [
        _number(channel, "ChannelTimeSkew")
        + _number(channel, "ChannelSampleSkew") / (recording.sample_rate_hz or 1.0)
        for group in recording.groups
        for channel in group.ChannelDefinitionSequence
    ]
    apart_ms = (max(skews_s) - min(skews_s)) * 1000.0 if skews_s else 0.0
    if apart_ms * recording.sample_rate_hz <= 1000.0:
        return ""
    return f"its channels are up to {apart_ms:g} ms apart, kept as stored"


def _number(item: Dataset, keyword: str) -> float:
    return float(item.get(keyword) or 0.0)
