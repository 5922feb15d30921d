"""R peaks against beats that two of three published detectors agree on."""

import contextlib
import io
import warnings
from itertools import pairwise

import neurokit2
import numpy as np
import pytest
from wfdb.processing import XQRS

from models.beats import r_peaks
from models.signal import condition
from schemas.leads import LEADS_12

TOLERANCE = 25  # ± 50 ms at 500 Hz


@pytest.fixture(scope="module")
def peaks(ptbxl_uv):
    return r_peaks(condition(ptbxl_uv, sample_rate_hz=500, lead_names=LEADS_12).mv)


def test_beats_agree_with_the_consensus_of_three_detectors(ptbxl_uv, peaks):
    hits = invented = missed = 0
    for uv, found in zip(ptbxl_uv, peaks, strict=True):
        agreed = _consensus(_three_detectors(uv / 1000.0))
        n_hits = _matches(found, agreed)
        hits, invented, missed = hits + n_hits, invented + len(found) - n_hits, missed + len(agreed) - n_hits
    assert hits + missed > 550
    assert 2 * hits / (2 * hits + invented + missed) >= 0.985
    assert missed <= 2


def test_beats_are_physiological(peaks):
    for found in peaks:
        assert all(later - earlier >= 100 for earlier, later in pairwise(found.tolist()))
        assert found.min() >= 0
        assert found.max() < 5000


def test_no_heart_no_beats():
    assert [found.size for found in r_peaks(np.zeros((2, 12, 5000), np.float32))] == [0, 0]


def _three_detectors(mv):
    ii, v5 = mv[LEADS_12.index("II")], mv[LEADS_12.index("V5")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # neurokit2 warns of its own dependencies
        nk = neurokit2.ecg_peaks(ii, sampling_rate=500)[1]["ECG_R_Peaks"]
    return [_xqrs(ii), _xqrs(v5), nk]


def _xqrs(mv):
    detector = XQRS(sig=mv, fs=500)
    with contextlib.redirect_stdout(io.StringIO()):
        detector.detect()
    return detector.qrs_inds


def _consensus(detections):
    marks = sorted((int(at), who) for who, found in enumerate(detections) for at in found)
    agreed, i = [], 0
    while i < len(marks):
        group = [mark for mark in marks[i:] if mark[0] - marks[i][0] <= TOLERANCE]
        if len({who for _, who in group}) >= 2:
            agreed.append(int(np.median([at for at, _ in group])))
        i += len(group)
    return agreed


def _matches(found, agreed):
    i = j = hits = 0
    while i < len(found) and j < len(agreed):
        apart = found[i] - agreed[j]
        hits += abs(apart) <= TOLERANCE
        i, j = (i + 1, j + 1) if abs(apart) <= TOLERANCE else (i + (apart < 0), j + (apart > 0))
    return hits
