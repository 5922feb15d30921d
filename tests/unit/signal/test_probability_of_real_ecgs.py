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
#: What another rate, unit or order of leads may move a probability by.
NEAR = 0.02
#: And what half a second of time, or hum, may: other beats are looked at, each a little different.
SHIFTED = 0.03


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


REAL = ["philips_103", "philips_104", "aecg", "ptb", "dicom"]


def resampled(recording):
    """At 500 Hz, (12, n), µV."""
    return at_rate(recording.uv, recording.rate_hz, 500)


def test_half_a_second_later_the_probability_is_the_same(ptb, predictor, make_recorded):
    uv = resampled(ptb)  # the one real recording that is longer than 10 s
    shifted = [uv[:, step : step + 5000] for step in range(0, 251, 50)]
    found = probabilities(predictor, [make_recorded(each) for each in shifted])
    assert np.ptp(found) < SHIFTED, found


@pytest.mark.parametrize("name", REAL)
def test_a_recording_turned_round_in_time_by_half_a_second_scores_the_same(
    name, request, predictor, make_recorded
):
    # A 10 s recording cannot be shifted without losing its end; its first half second is put there instead,
    # with the levels joined, which adds no more than one odd beat.
    uv = resampled(request.getfixturevalue(name))[:, :5000]
    turned = np.concatenate([uv[:, 250:], uv[:, :250] + (uv[:, -1:] - uv[:, :1])], axis=1)
    found = probabilities(predictor, [make_recorded(uv), make_recorded(turned)])
    assert np.ptp(found) < SHIFTED, found


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
@pytest.mark.parametrize("name", REAL)
def test_mains_noise_of_20_uv_moves_nothing(name, mains_hz, request, predictor, make_recorded):
    uv = resampled(request.getfixturevalue(name))[:, :5000]
    electrodes = np.array([1.0, -0.4, 0.7])[:, None] * 20.0  # RA, LA, LL: the limb leads stay consistent
    hum = np.sin(2 * np.pi * mains_hz * np.arange(uv.shape[1]) / 500.0)
    right, left, leg = electrodes * hum
    limb = np.stack([left - right, leg - right, leg - left])
    augmented = np.stack([-(limb[0] + limb[1]) / 2, limb[0] - limb[1] / 2, limb[1] - limb[0] / 2])
    noise = np.concatenate([limb, augmented, np.tile(20.0 * hum, (6, 1))])
    found = probabilities(predictor, [make_recorded(uv), make_recorded(uv + noise)])
    assert np.ptp(found) < SHIFTED, found


@pytest.mark.parametrize("name", ["philips_103", "philips_104", "aecg", "dicom"])
def test_swapped_arm_leads_are_not_scored(name, request, make_recorded):
    uv = resampled(request.getfixturevalue(name))[:, :5000]
    swapped = uv.copy()
    row = {lead: i for i, lead in enumerate(LEADS_12)}
    swapped[row["I"]] = -uv[row["I"]]
    swapped[row["II"]], swapped[row["III"]] = uv[row["III"]], uv[row["II"]]
    swapped[row["aVR"]], swapped[row["aVL"]] = uv[row["aVL"]], uv[row["aVR"]]
    (featurized,) = featurize(
        [Received(record=ecg, published_at=ecg.acquired_at) for ecg in [make_recorded(swapped)]]
    )
    assert not featurized.quality.acceptable
    assert "ARM_LEADS_SWAPPED" in featurized.quality.reasons


def test_ptbxl_records_give_the_same_probability_at_every_rate(predictor, make_recorded, ptbxl_uv):
    at_500 = probabilities(predictor, [make_recorded(uv) for uv in ptbxl_uv])
    for rate_hz in (250, 400, 1000):
        otherwise = [make_recorded(at_rate(uv, 500, rate_hz), float(rate_hz)) for uv in ptbxl_uv]
        assert np.abs(probabilities(predictor, otherwise) - at_500).max() < NEAR
