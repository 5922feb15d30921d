"""Deliveries that mean harm, or were harmed on their way: one small sound ECG in every format, and mutations.

What a mutated delivery may end as, and how that is told, stands at :func:`outcome`.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from writers import aecg, dicom, edf, fhir, hl7_v2, json_ecg, muse, scp, sierra, wfdb

from models.cohorts.simulated import Course, SimulatedPatient
from schemas.leads import LEADS_8, LEADS_12
from schemas.recorded import EcgRecorded
from streams.feeds.document import Document
from streams.feeds.read import read
from streams.feeds.readers.assembly import Reading
from streams.feeds.readers.leads import missing_leads
from streams.feeds.readers.options import ReadOptions

#: Fills what a mutation took away, so that a refusal for want of a patient hides no wrong waveform.
GIVEN = ReadOptions(patient_id="PAT-0815", acquired_at=datetime(2024, 2, 29, tzinfo=UTC))

#: 1.2 s at 500 Hz: short, so that mutations meet the structure and not only samples.
N_SAMPLES = 600
UV_PER_COUNT = 5.0


#: FHIR's SampledData: period, factor and origin of each lead, in JSON and XML.
_SAMPLED_DATA = re.compile(rb'(period|factor|value)("?: |\s+value=")[\d.]+')


@lru_cache
def counts() -> npt.NDArray[np.int64]:
    """12 leads, (12, 600), 5 µV a count; the limb leads obey Einthoven's law to the count."""
    patient = SimulatedPatient(seed=11, course=Course(start=0.3, end=0.3))
    ecg = patient.record(datetime(2024, 2, 29, tzinfo=UTC))
    units = np.rint(ecg.samples[:, 500 : 500 + N_SAMPLES] * (ecg.uv_per_unit / UV_PER_COUNT)).astype(np.int64)
    i, ii = units[:2] // 2 * 2
    return np.stack([i, ii, ii - i, -(i + ii) // 2, i - ii // 2, ii - i // 2, *units[6:]])


def by_lead(leads: tuple[str, ...] = LEADS_12) -> dict[str, npt.NDArray[np.int64]]:
    return {lead: counts()[LEADS_12.index(lead)] for lead in leads}


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One sound delivery.

    Attributes
    ----------
    said_once : regular expression
        What the format says once and nothing in it confirms: the rate, the scale of a lead. A mutation there
        makes the file of another ECG, which is sound.
    """

    name: str
    document: Document
    said_once: re.Pattern[bytes] | None = None


def _dicom() -> Document:
    group = dicom.Group(counts=counts(), sensitivities=[UV_PER_COUNT] * 12)
    return Document(content=dicom.dicom_bytes(dicom.dataset([group])))


def _zip() -> Document:
    record = wfdb.wfdb_record(counts())
    return Document(content=wfdb.zipped({"r1.hea": record.content, **record.companions}))


def _aecg() -> Document:
    series = aecg.series_xml(aecg.set_xml(by_lead(), scale="5"))
    return Document(content=aecg.aecg_xml(series).encode())


def _edf() -> Document:
    signals = edf.ecg_signals(counts(), physical=("-163840", "163835"))
    return Document(content=edf.edf_bytes(signals, n_records=4, record_s="0.3"))


def _sierra() -> Document:
    return Document(content=sierra.sierra_1_04(sierra.with_calibration(by_lead())).encode())


def _muse() -> Document:
    return Document(content=muse.muse_xml(muse.rhythm_xml(by_lead(LEADS_8))).encode("latin-1"))


def _fhir(write: Callable[[dict[str, Any]], bytes]) -> Document:
    return Document(content=write(fhir.observation(counts(), sampled={"factor": UV_PER_COUNT})))


def _scp() -> Document:
    stored = scp.scp_bytes(counts(), avm_nv=round(UV_PER_COUNT * 1000), order=2, is_huffman=True)
    return Document(content=stored)


def _hl7_v2() -> Document:
    within = hl7_v2.encapsulated(_zip().content)
    return Document(content=hl7_v2.oru(within, pid="PID|1||P-77^^^HOSP^MR||Storm^Test"))


def _json() -> Document:
    return Document(content=json_ecg.json_bytes(json_ecg.json_ecg(counts() * UV_PER_COUNT)))


#: The sound deliveries: one for each format and each container of it.
SEEDS: Final = {
    seed.name: seed
    for seed in (
        Seed(
            name="DICOM",
            document=_dicom(),
            # SamplingFrequency; ChannelSensitivity with its unit, correction and baseline: all DS
            said_once=re.compile(rb"DS..[\d. +-]+", re.DOTALL),
        ),
        Seed(
            name="WFDB",
            document=wfdb.wfdb_record(counts()),
            said_once=re.compile(rb"r1 12 500 600[^\n]*|200\(0\)/mV"),
        ),
        Seed(name="WFDB zip", document=_zip()),
        Seed(name="EDF", document=_edf(), said_once=re.compile(rb"-163840|163835|-32768|32767|0\.3 ")),
        Seed(
            name="aECG",
            document=_aecg(),
            said_once=re.compile(rb'<increment value="2" unit="ms"|<(scale|origin) value="\d" unit="uV"'),
        ),
        Seed(name="Sierra XML", document=_sierra()),
        Seed(
            name="MUSE XML",
            document=_muse(),
            said_once=re.compile(rb"UnitsPerBit>4.88<|Units>MICROVOLTS<|Sample(Base|Exponent)>\d+<"),
        ),
        Seed(name="FHIR JSON", document=_fhir(fhir.fhir_json), said_once=_SAMPLED_DATA),
        Seed(name="FHIR XML", document=_fhir(fhir.fhir_xml), said_once=_SAMPLED_DATA),
        Seed(name="SCP-ECG", document=_scp()),
        # A message holds an ECG of any format: here of one that protects it, so that the message is tried.
        Seed(name="HL7 v2", document=_hl7_v2()),
        Seed(
            name="JSON",
            document=_json(),
            said_once=re.compile(rb'"sample_rate_hz": 500|"unit": "uV"'),
        ),
    )
}

_ODD_TOKENS = (
    *(b"", b"0", b"-0", b"-1", b"1", b"2", b"1e309", b"nan", b"inf", b"1e-320", b"9" * 30, b"0x10", b"1_0"),
    *(b"99999", b"65536", b"32768", b"-32769", b"4294967295", b"0.001", b"1000000", "½".encode()),
)


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Some bytes, or bits of bytes, become others."""
    harmed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 30))):
        place = rng.randrange(len(harmed))
        harmed[place] = rng.choice((rng.randrange(256), harmed[place] ^ (1 << rng.randrange(8))))
    return bytes(harmed)


def cut(content: bytes, rng: random.Random) -> bytes:
    """The end is missing, most often a little of it."""
    kept = rng.choice((rng.randrange(len(content)), len(content) - rng.randrange(1, 200)))
    return content[: max(kept, 0)]


def with_a_hole(content: bytes, rng: random.Random) -> bytes:
    """A run is missing."""
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.choice((1, 2, 4, 24, rng.randrange(1, 64))) :]


def repeated(content: bytes, rng: random.Random) -> bytes:
    """A run comes twice."""
    start = rng.randrange(len(content))
    end = start + rng.choice((1, 2, 24, rng.randrange(1, 256)))
    return content[:end] + content[start:]


def inserted(content: bytes, rng: random.Random) -> bytes:
    """A run of anything is put in between."""
    start = rng.randrange(len(content))
    return content[:start] + rng.randbytes(rng.choice((1, 2, 24, rng.randrange(1, 64)))) + content[start:]


def overwritten(content: bytes, rng: random.Random) -> bytes:
    """A run lies over another one of the same length."""
    length = rng.choice((2, 16, rng.randrange(1, 64)))
    start, other = rng.randrange(len(content)), rng.randrange(len(content))
    run = content[other : other + length]
    return content[:start] + run + content[start + len(run) :]


def with_another_number(content: bytes, rng: random.Random) -> bytes:
    """A number of its text is another one, or a binary field is at an extreme."""
    start = rng.randrange(len(content))
    found = re.compile(rb"-?\d[\d.]*").search(content, start, start + 4096)
    if found is None or rng.random() < 0.2:
        field = rng.choice((b"\0\0", b"\xff\xff", b"\x00\x80", b"\xff\x7f", b"\xff" * 4, b"\0" * 4))
        return content[:start] + field + content[start + len(field) :]
    number = bytearray(found[0])
    place = rng.randrange(len(number))
    edits = (
        number[:place] + b"%d" % rng.randrange(10) + number[place + 1 :],
        number[:place] + number[place + 1 :],
        number[:place] + b"%d" % rng.randrange(10) + number[place:],
        b"-" + number,
        number[:place] + b"." + number[place:],
        rng.choice(_ODD_TOKENS),
    )
    return content[: found.start()] + bytes(rng.choice(edits)) + content[found.end() :]


MUTATIONS = (flipped, cut, with_a_hole, repeated, inserted, overwritten, with_another_number)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A mutated delivery: how, of which file of it, and in how many bytes it differs."""

    document: Document
    how: str
    before: bytes
    after: bytes

    @property
    def span(self) -> tuple[int, int]:
        """First and last byte of ``before`` that a mutation may have touched."""
        shorter = min(len(self.before), len(self.after))
        first = next((k for k in range(shorter) if self.before[k] != self.after[k]), shorter)
        last = next((k for k in range(1, shorter - first + 1) if self.before[-k] != self.after[-k]), shorter)
        return first, max(first + 1, len(self.before) - last + 1)

    @property
    def n_changed(self) -> int:
        """Bytes that differ, where the length is the same."""
        if len(self.before) != len(self.after):
            first, last = self.span
            return max(last - first, abs(len(self.before) - len(self.after)))
        return sum(a != b for a, b in zip(self.before, self.after, strict=True))


def mutants(seed: Seed, n: int) -> Iterator[Mutant]:
    """Mutate a sound delivery in ``n`` ways, the same in every run; none is the delivery itself."""
    rng = random.Random(f"hostile {seed.name}")
    while n:
        mutate = MUTATIONS[n % len(MUTATIONS)]
        of_companion = seed.document.companions and rng.random() < 0.5
        name, before = (
            next(iter(seed.document.companions.items())) if of_companion else ("", seed.document.content)
        )
        after = mutate(before, rng)
        if after == before:
            continue
        harmed = (
            replace(seed.document, companions={name: after})
            if of_companion
            else replace(seed.document, content=after)
        )
        yield Mutant(document=harmed, how=mutate.__name__, before=before, after=after)
        n -= 1


class Outcome(StrEnum):
    """What became of a mutant that was not refused; see :func:`outcome`."""

    EQUAL = "EQUAL"
    SAMPLES = "SAMPLES"
    SAID = "SAID"
    SAID_ONCE = "SAID_ONCE"
    WRONG = "WRONG"


def outcome(sound: EcgRecorded, reading: Reading, mutant: Mutant, seed: Seed) -> Outcome:
    """Tell how a reading differs from the sound one.

    EQUAL
        Rate, length and, under its name, each lead in µV but for an offset, by which no ECG is read. Leads
        that follow from the others may be missing.
    SAMPLES
        Single samples differ, no more of them than bytes were changed: their format protects none, and
        physics does not tell.
    SAID
        One lead has another scale, and the reading's notes say so.
    SAID_ONCE
        The mutation met what the format says once and nothing confirms.
    WRONG
        All else: another rate, length or scale, a shift, a lead under another's name, or missing for good. Of
        these there must be none.
    """
    ecg = reading.ecg
    if _is_comparable(sound, ecg):
        differing = _differing(sound, ecg)
        n_differing = int(np.count_nonzero(differing))
        if n_differing <= mutant.n_changed:
            return Outcome.SAMPLES if n_differing else Outcome.EQUAL
        leads = {ecg.lead_names[row] for row in np.unique(differing.nonzero()[0])}
        said = "".join(note for note in reading.notes if "another scale" in note)
        if said and all(re.search(rf"\b{lead}\b", said) for lead in leads):
            return Outcome.SAID
    first, last = mutant.span
    spans = [found.span() for found in seed.said_once.finditer(mutant.before)] if seed.said_once else []
    is_said_once = any(start < last and first < end for start, end in spans)
    return Outcome.SAID_ONCE if is_said_once else Outcome.WRONG


def _is_comparable(sound: EcgRecorded, ecg: EcgRecorded) -> bool:
    return (
        ecg.sample_rate_hz == sound.sample_rate_hz
        and ecg.samples.shape[1] == sound.samples.shape[1]
        and set(ecg.lead_names) <= set(sound.lead_names)
        and not missing_leads(ecg.lead_names)
    )


def _differing(sound: EcgRecorded, ecg: EcgRecorded) -> npt.NDArray[np.bool_]:
    """Which samples of a reading are not what they should be, (n_leads, n_samples)."""
    there = sound.samples[[sound.lead_names.index(lead) for lead in ecg.lead_names]] * sound.uv_per_unit
    off_uv = ecg.samples * ecg.uv_per_unit - there
    off_uv = off_uv - np.median(off_uv, axis=1, keepdims=True)
    differing: npt.NDArray[np.bool_] = np.abs(off_uv) > 1.01 * max(ecg.uv_per_unit, sound.uv_per_unit)
    return differing


def sound_reading(seed: Seed) -> Reading:
    """Read a sound delivery."""
    return read(seed.document, GIVEN)
