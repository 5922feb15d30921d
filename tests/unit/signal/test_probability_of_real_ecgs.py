"""A real ECG gives the same answer at any rate, in any unit, and with its leads in any order."""

from math import gcd

import numpy as np
import pytest
from scipy.signal import resample_poly

from models.bundle import DEFAULT_BUNDLE, load_bundle
from models.predictor import Predictor
from schemas.leads import LEADS_12
from streams.featurize import featurize
from streams.stage import Received

RATES_HZ = (250, 400, 500, 1000)
NEAR = 0.02


@pytest.fixture(scope="module")
def predictor():
    return Predictor(load_bundle(DEFAULT_BUNDLE), device="cpu", threads=1)


def at_rate(uv, rate_hz, wanted_hz):
    common = gcd(int(rate_hz), wanted_hz)
    return resample_poly(uv, wanted_hz // common, int(rate_hz) // common, axis=-1, padtype="line")


def probabilities(predictor, ecgs):
    featurized = featurize([Received(record=ecg, published_at=ecg.acquired_at) for ecg in ecgs])
    assert [one.quality.acceptable for one in featurized] == [True] * len(ecgs)
    return np.array([prediction.probability for prediction in predictor.predict(featurized)])


@pytest.mark.parametrize("name", ["philips_103", "philips_104", "aecg", "ptb", "dicom"])
def test_a_real_ecg_recorded_otherwise_gives_the_same_probability(name, request, predictor, make_recorded):
    recording = request.getfixturevalue(name)
    order = np.random.default_rng(3).permutation(12)
    names = tuple(LEADS_12[i] for i in order)
    ecgs = []
    for rate_hz in RATES_HZ:
        uv = at_rate(recording.uv, recording.rate_hz, rate_hz)
        ecgs += [
            make_recorded(uv, float(rate_hz)),
            make_recorded(uv / 4.88, float(rate_hz), uv_per_unit=4.88),
            make_recorded(uv[order], float(rate_hz), lead_names=names),
        ]
    found = probabilities(predictor, ecgs)
    assert np.ptp(found) < NEAR, found


def test_ptbxl_records_give_the_same_probability_at_every_rate(predictor, make_recorded, ptbxl_uv):
    at_500 = probabilities(predictor, [make_recorded(uv) for uv in ptbxl_uv])
    for rate_hz in (250, 400, 1000):
        otherwise = [make_recorded(at_rate(uv, 500, rate_hz), float(rate_hz)) for uv in ptbxl_uv]
        assert np.abs(probabilities(predictor, otherwise) - at_500).max() < NEAR
