import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from models.leads import plan_leads, standard_name
from models.resample import band_response
from models.signal import UnconditionableError, condition, model_input_uv
from schemas.leads import DERIVED_FROM_I_II, LEADS_8, LEADS_12

#: Rounding on both sides, and what another resampler leaves near the edges: 1 % of a QRS of 1.2 mV.
SAME_INPUT_UV = 12.0


@pytest.mark.parametrize(
    ("spelling", "lead"),
    [
        ("I", "I"), ("DI", "I"), ("lead I", "I"), ("MDC_ECG_LEAD_I", "I"), ("Lead I (Einthoven)", "I"),
        ("aVR", "aVR"), ("AVR", "aVR"), ("avr", "aVR"), ("MDC_ECG_LEAD_AVR", "aVR"), (" aVF ", "aVF"),
        ("V1", "V1"), ("v1", "V1"), ("C1", "V1"), ("Lead V6", "V6"), ("D3", "III"), ("ecg_ii", "II"),
    ],
)  # fmt: skip
def test_every_vendors_spelling_names_the_lead(spelling, lead):
    assert standard_name(spelling) == (lead, 1.0)


@pytest.mark.parametrize(
    "spelling",
    ["vx", "VY", "Z", "V7", "V3R", "RESP", "", "ECG", "1", "2", "3", "ECG 1", "ECG3", "MDC_ECG_2"],
)
def test_other_leads_are_not_taken_for_one_of_the_twelve(spelling):
    assert standard_name(spelling) is None


def test_inverted_avr_is_turned_back():
    assert standard_name("-aVR") == ("aVR", -1.0)


@pytest.mark.parametrize("pair", [("I", "II"), ("I", "III"), ("II", "aVR"), ("aVL", "aVF"), ("III", "aVR")])
def test_limb_leads_follow_from_any_pair(pair):
    limbs = {"I": (1.0, 0.0), "II": (0.0, 1.0), **DERIVED_FROM_I_II}
    i_ii = np.random.default_rng(0).normal(size=(2, 50))
    rows = np.array([np.array(limbs[lead]) @ i_ii for lead in pair])
    plan = plan_leads((*pair, "V1", "V2", "V3", "V4", "V5", "V6"))
    expected = np.array([np.array(limbs[lead]) @ i_ii for lead in LEADS_12[:6]])
    assert plan.missing == ()
    np.testing.assert_allclose(plan.weights[:6, :2] @ rows, expected, atol=1e-12)


def test_one_limb_lead_alone_determines_no_other():
    assert plan_leads(("II", "V1", "V2", "V4", "V5", "V6")).missing == ("I", "III", "aVR", "aVL", "aVF", "V3")


@pytest.mark.parametrize("rate_hz", [250, 400, 1000])
def test_the_source_rate_does_not_show_in_the_model_input(recording, rate_hz):
    n = round(10 * recording.rate_hz)
    uv = recording.uv[:, :n]
    anew = resample_poly(uv, rate_hz, int(recording.rate_hz), axis=-1, padtype="line")
    one = _input(uv, recording.rate_hz)
    other = _input(np.rint(anew), rate_hz)
    # The first and last 50 ms see the edge of the other resampler.
    difference = (one.astype(int) - other)[..., 25:-25]
    assert np.abs(difference).max() <= SAME_INPUT_UV
    assert np.sqrt((difference**2.0).mean()) <= 1.5


def test_unit_and_lead_order_do_not_show_in_the_model_input(recording):
    order = np.random.default_rng(3).permutation(12)
    shuffled = condition(
        recording.uv[None, order] / 1000.0,
        sample_rate_hz=recording.rate_hz,
        lead_names=[LEADS_12[row].upper() for row in order],
        uv_per_unit=1000.0,
    )
    one = _input(recording.uv, recording.rate_hz)
    assert np.abs(one.astype(int) - model_input_uv(shuffled.mv)).max() <= 1


def test_extra_leads_change_nothing(ptb):
    extra = np.concatenate([ptb.uv, ptb.uv[:3] * 7])
    with_frank = condition(extra[None], sample_rate_hz=ptb.rate_hz, lead_names=(*LEADS_12, "vx", "vy", "vz"))
    alone = condition(ptb.uv[None], sample_rate_hz=ptb.rate_hz, lead_names=LEADS_12)
    np.testing.assert_array_equal(with_frank.mv, alone.mv)


def test_an_ecg_is_conditioned_the_same_in_any_company(ptbxl_uv):
    together = condition(ptbxl_uv[:7], sample_rate_hz=500, lead_names=LEADS_12).mv
    alone = [condition(ecg[None], sample_rate_hz=500, lead_names=LEADS_12).mv[0] for ecg in ptbxl_uv[:7]]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_only_the_first_ten_seconds_count(ptb):
    longer = condition(ptb.uv[None], sample_rate_hz=1000, lead_names=LEADS_12).mv
    cut = condition(ptb.uv[None, :, :10001], sample_rate_hz=1000, lead_names=LEADS_12).mv
    np.testing.assert_array_equal(longer, cut)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
@pytest.mark.parametrize("rate_hz", [250, 500, 1000])
def test_mains_and_wander_are_removed_and_the_heart_kept(mains_hz, rate_hz):
    t = np.arange(10 * rate_hz) / rate_hz
    heart = 0.5 * np.sin(2 * np.pi * 8.0 * t)
    dirt = 0.2 * np.sin(2 * np.pi * mains_hz * t + 1) + 1.0 * np.sin(2 * np.pi * 0.15 * t) + 0.3 * t
    mv = condition(
        np.tile(heart + dirt, (1, 12, 1)), sample_rate_hz=rate_hz, lead_names=LEADS_12, uv_per_unit=1000.0
    ).mv
    # Mirrored at its ends, the wander is not one tone: 3 % of its 1 mV is left in the middle.
    inner = slice(1000, 4000)
    assert np.abs(mv[0, 0] - 0.5 * np.sin(2 * np.pi * 8.0 * np.arange(5000) / 500))[inner].max() < 0.03


def test_nothing_is_delayed():
    for rate_hz in (100, 250, 257.3, 400, 500, 1000, 2000):
        t = np.arange(round(10 * rate_hz)) / rate_hz
        bump = np.exp(-(((t - 4.321) / 0.03) ** 2))
        mv = condition(
            np.tile(bump, (1, 12, 1)), sample_rate_hz=rate_hz, lead_names=LEADS_12, uv_per_unit=1000.0
        ).mv[0, 0]
        top = int(np.argmax(mv))
        around = mv[top - 1 : top + 2].astype(float)
        vertex = top + (around[0] - around[2]) / (2 * (around[0] - 2 * around[1] + around[2]))
        assert vertex / 500 == pytest.approx(4.321, abs=0.0005), rate_hz


def test_model_input_saturates_and_does_not_wrap():
    mv = np.zeros((1, 12, 5000), np.float32)
    mv[0, 0, 0], mv[0, 1, 0] = 40.0, -40.0
    assert model_input_uv(mv)[0, :2, 0].tolist() == [32767, -32768]


def test_missing_samples_count_as_zero():
    uv = np.zeros((1, 12, 5000))
    uv[0, 3, 70], uv[0, 4, 80] = np.nan, np.inf
    assert not condition(uv, sample_rate_hz=500, lead_names=LEADS_12).mv.any()


@pytest.mark.parametrize(
    ("n_samples", "rate_hz"), [(4998, 500.0), (5000, 99.0), (50000, 2001.0), (5000, np.nan)]
)
def test_what_cannot_become_ten_seconds_is_refused(n_samples, rate_hz):
    with pytest.raises(UnconditionableError):
        condition(np.zeros((1, 12, n_samples)), sample_rate_hz=rate_hz, lead_names=LEADS_12)


def test_as_many_names_as_rows_are_required():
    with pytest.raises(UnconditionableError, match="one name for each row"):
        condition(np.zeros((1, 12, 5000)), sample_rate_hz=500, lead_names=LEADS_8)


@settings(max_examples=25, deadline=None)
@given(st.floats(min_value=100, max_value=2000))
def test_any_rate_gives_ten_seconds_at_500_hz(rate_hz):
    n = int(np.ceil(10 * rate_hz))
    tone = np.cos(2 * np.pi * 7.0 * np.arange(n) / rate_hz)
    mv = condition(tone[None, None], sample_rate_hz=rate_hz, lead_names=("V1",), uv_per_unit=1000.0).mv[
        0, LEADS_12.index("V1")
    ]
    assert mv.shape == (5000,)
    expected = np.cos(2 * np.pi * 7.0 * np.arange(5000) / 500)
    assert np.abs(mv - expected)[250:-250].max() < 0.02


def test_the_band_leaves_what_ecgfounder_filters_itself():
    gain = band_response(np.array([0.15, 0.67, 1.0, 10.0, 40.0, 50.0, 60.0, 100.0, 130.0]))
    assert gain[0] < 0.01
    assert (gain[1:5] > 0.95).all()
    assert (gain[5:] < 0.01).all()


def _input(uv, rate_hz):
    return model_input_uv(condition(uv[None], sample_rate_hz=rate_hz, lead_names=LEADS_12).mv)
