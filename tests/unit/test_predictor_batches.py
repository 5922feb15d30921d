from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from tiny_bundle import N_HEADS, tiny_bundle

from models.batching import DeviceError, DeviceMemoryError, padded_size, score_halving
from models.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from models.cohorts.simulated import Course, SimulatedPatient
from models.features import COLUMNS, feature_rows
from models.featurizing import featurize_arrays
from models.motion_measurements import MOTION_COLUMNS
from models.predictor import Predictor, choose_device, compute_exactly
from models.scorer import RowLayout
from models.signal import condition
from schemas.errors import ConfigurationError
from schemas.featurized import EcgFeaturized, Measurements, Quality
from schemas.recorded import Sex

AT = datetime(2026, 3, 1, tzinfo=UTC)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

#: Row of the scorer in units of what is told apart in it: ms are rounded to a tenth, all else to 1e-4.
LAYOUT = RowLayout(N_HEADS)
STEP = np.ones(LAYOUT.width)
STEP[LAYOUT.motion] = [1000.0 if name.endswith("_ms") else 1.0 for name in MOTION_COLUMNS]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return tiny_bundle()


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def ecgs() -> list[EcgFeaturized]:
    return [featurized(seed, severity=seed / 10) for seed in range(11)]


def featurized(seed: int, severity: float = 0.3) -> EcgFeaturized:
    ecg = SimulatedPatient(seed=seed, course=Course(start=severity, end=severity)).record(AT)
    conditioned = condition(
        ecg.samples[None], sample_rate_hz=500.0, lead_names=ecg.lead_names, uv_per_unit=ecg.uv_per_unit
    )
    arrays = featurize_arrays(conditioned.mv)
    return EcgFeaturized(
        ecg_id=ecg.ecg_id,
        patient_id=ecg.patient_id,
        acquired_at=AT,
        published_at=AT,
        quality=Quality(acceptable=True, score=1.0),
        measurements=arrays.measurements[0],
        model_input_uv=arrays.inputs_uv[0],
        median_beat_uv=arrays.beats_uv[0],
        age_years=ecg.age_years,
        sex=ecg.sex,
    )


def scored(predictor: Predictor, ecgs: Sequence[EcgFeaturized]) -> np.ndarray:
    """All a row holds: log-odds, contributions, motion."""
    inputs = np.stack([e.model_input_uv for e in ecgs if e.model_input_uv is not None])
    beats = np.stack([e.median_beat_uv for e in ecgs if e.median_beat_uv is not None])
    return np.stack(predictor.score_arrays(inputs, beats, feature_rows(ecgs)))


@pytest.mark.parametrize("device", DEVICES)
def test_batch_mates_and_padding_move_an_ecg_by_less_than_rounding(
    bundle: Bundle, ecgs: list[EcgFeaturized], device: str
) -> None:
    alone = np.concatenate([scored(Predictor(bundle, device, (1,)), [ecg]) for ecg in ecgs])  # type: ignore[arg-type]
    for sizes in [(4,), (32,), (1, 2, 4, 8, 16, 32)]:
        together = scored(Predictor(bundle, device, sizes), ecgs)  # type: ignore[arg-type]
        np.testing.assert_allclose(together / STEP, alone / STEP, atol=1e-5, rtol=1e-5)


def test_predictions_come_in_order_one_for_each(bundle: Bundle, ecgs: list[EcgFeaturized]) -> None:
    predictor = Predictor(bundle, batch_sizes=(4,))
    forward, backward = predictor.predict(ecgs), predictor.predict(ecgs[::-1])
    assert [p.probability for p in forward] == [p.probability for p in backward[::-1]]
    assert len({p.probability for p in forward}) > 5


def test_probability_lies_within_its_interval_and_has_four_decimals(
    bundle: Bundle, ecgs: list[EcgFeaturized]
) -> None:
    for p in Predictor(bundle).predict(ecgs):
        assert 0.0 <= p.probability_low <= p.probability <= p.probability_high <= 1.0
        assert p.probability_low < p.probability_high
        assert round(p.probability, 4) == p.probability


def test_contributions_add_up_to_the_log_odds(bundle: Bundle, ecgs: list[EcgFeaturized]) -> None:
    reference = bundle.ensemble.reference_log_odds
    for p in Predictor(bundle).predict(ecgs):
        total = reference + sum(part.log_odds for part in p.contributions)
        assert 1.0 / (1.0 + np.exp(-total)) == pytest.approx(p.probability, abs=3e-4)
        sizes = [abs(part.log_odds) for part in p.contributions]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("unknown", "most"),
    [
        ({"age_years": None}, 0.11),
        ({"sex": Sex.UNKNOWN}, 0.1),
        ({"measurements": Measurements()}, 0.2),
        ({"age_years": None, "sex": Sex.UNKNOWN, "measurements": Measurements()}, 0.21),
    ],
)
def test_what_is_not_known_moves_the_answer_little(
    shipped: Bundle, ecgs: list[EcgFeaturized], unknown: dict[str, object], most: float
) -> None:
    predictor = Predictor(shipped)
    known = np.array([p.probability for p in predictor.predict(ecgs)])
    less = predictor.predict([replace(ecg, **unknown) for ecg in ecgs])  # type: ignore[arg-type]
    guessed = np.array([p.probability for p in less])
    assert known.max() - known.min() > 0.5  # there is room to be wrong in
    assert 0.0 < np.abs(guessed - known).max() < most
    assert np.corrcoef(known.argsort().argsort(), guessed.argsort().argsort())[0, 1] > 0.9


def test_without_motion_an_answer_is_drawn_to_the_middle_and_not_beyond(
    shipped: Bundle, ecgs: list[EcgFeaturized]
) -> None:
    """Motion carries most of what the ensemble knows; an ECG without a median beat is told less sharply."""
    predictor = Predictor(shipped)
    known = np.array([p.probability for p in predictor.predict(ecgs)])
    less = predictor.predict([replace(ecg, median_beat_uv=None) for ecg in ecgs])
    guessed = np.array([p.probability for p in less])
    assert known.min() < guessed.min() < guessed.max() < known.max()
    (motion,) = {part.log_odds for p in less for part in p.contributions if part.name == "motion"}
    assert abs(motion) < 1.0


def test_motion_comes_with_the_answer_and_lies_within_what_a_record_may_hold(
    bundle: Bundle, ecgs: list[EcgFeaturized]
) -> None:
    for ecg, p in zip(ecgs, Predictor(bundle).predict(ecgs), strict=True):
        assert p.motion is not None
        assert p.motion.velocities_cm_s.shape == (2, 128)
        assert p.motion.s_prime_septal_cm_s == pytest.approx(p.motion.velocities_cm_s[0].max(), abs=1e-3)
        assert (p.motion.a_prime_septal_cm_s is None) == (p.motion.a_prime_septal_sd_cm_s is None)
        assert p.motion.e_prime_lateral_sd_cm_s is not None
        assert p.motion.e_prime_lateral_sd_cm_s > 0
        assert ecg.measurements.pr_ms is None or p.motion.e_over_a is not None


def test_ecg_without_a_median_beat_is_scored_without_motion(
    bundle: Bundle, ecgs: list[EcgFeaturized]
) -> None:
    predictor = Predictor(bundle, batch_sizes=(4,))
    whole, without = predictor.predict([ecgs[0], replace(ecgs[0], median_beat_uv=None)])
    assert whole.motion is not None
    assert without.motion is None
    assert without.probability != whole.probability
    by_part = [{part.name: part.log_odds for part in p.contributions} for p in (whole, without)]
    assert by_part[0].pop("motion") != by_part[1].pop("motion")
    assert by_part[0] == by_part[1]


def test_fibrillating_heart_has_no_late_wave(bundle: Bundle, ecgs: list[EcgFeaturized]) -> None:
    irregular = replace(ecgs[0].measurements, pr_ms=None, heart_rate_bpm=90.0, rr_sd_ms=140.0)
    (p,) = Predictor(bundle).predict([replace(ecgs[0], measurements=irregular)])
    assert p.motion is not None
    assert p.motion.e_prime_septal_cm_s is not None
    assert (p.motion.a_prime_septal_cm_s, p.motion.a_prime_lateral_cm_s, p.motion.e_over_a) == (None,) * 3


def test_unknown_rate_leaves_velocities_and_takes_times(bundle: Bundle, ecgs: list[EcgFeaturized]) -> None:
    (p,) = Predictor(bundle).predict([replace(ecgs[0], measurements=Measurements())])
    assert p.motion is not None
    assert p.motion.e_prime_septal_cm_s is not None
    assert (p.motion.ejection_ms, p.motion.displacement_septal_mm) == (None, None)


def test_absurd_measurements_stay_finite(bundle: Bundle, ecgs: list[EcgFeaturized]) -> None:
    absurd = Measurements(heart_rate_bpm=1000.0, qrs_ms=0.0, qt_ms=10_000.0, r_v5_mv=-100.0)
    (prediction,) = Predictor(bundle).predict([replace(ecgs[0], measurements=absurd)])
    assert np.isfinite(prediction.probability)


def test_no_ecgs_give_no_predictions(bundle: Bundle) -> None:
    assert Predictor(bundle).predict([]) == []


def test_ecg_without_model_input_is_refused(bundle: Bundle, ecgs: list[EcgFeaturized]) -> None:
    unusable = Quality(acceptable=False, score=0.0, reasons=("X",))
    bad = replace(ecgs[0], model_input_uv=None, median_beat_uv=None, quality=unusable)
    with pytest.raises(ValueError, match="without model input"):
        Predictor(bundle).predict([bad])


def test_warm_up_runs_every_shape(bundle: Bundle) -> None:
    predictor = Predictor(bundle, batch_sizes=(2, 3))
    seen: list[int] = []
    predictor._scorer.register_forward_hook(lambda _m, inputs, _out: seen.append(len(inputs[0])))
    predictor.warm_up()
    assert seen == [2, 3]


def test_features_are_one_column_each(ecgs: list[EcgFeaturized]) -> None:
    assert feature_rows(ecgs).shape == (11, len(COLUMNS))
    assert feature_rows([]).shape == (0, len(COLUMNS))


@pytest.mark.parametrize(("n", "size"), [(1, 1), (3, 4), (4, 4), (32, 32), (99, 32)])
def test_batch_is_padded_to_the_next_shape(n: int, size: int) -> None:
    assert padded_size(n, (1, 4, 32)) == size


class SmallDevice:
    """Holds so many at once, and no more."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.asked: list[int] = []

    def score(self, start: int, stop: int) -> list[int]:
        self.asked.append(stop - start)
        if stop - start > self.capacity:
            raise torch.OutOfMemoryError("full")
        return list(range(start, stop))


def test_batch_is_halved_until_it_fits_and_nothing_is_lost() -> None:
    device = SmallDevice(capacity=3)
    assert score_halving(device.score, 21, 16) == list(range(21))
    assert device.asked[:4] == [16, 8, 4, 2]
    assert max(device.asked[3:]) == 2  # what did not fit is not tried again


def test_single_ecg_that_does_not_fit_is_a_retriable_error() -> None:
    with pytest.raises(DeviceMemoryError) as caught:
        score_halving(SmallDevice(capacity=0).score, 4, 4)
    assert caught.value.retriable


def test_out_of_memory_in_the_device_halves_the_batch_of_a_predictor(
    bundle: Bundle, ecgs: list[EcgFeaturized]
) -> None:
    whole, small = Predictor(bundle, batch_sizes=(1, 2, 4, 8)), Predictor(bundle, batch_sizes=(1, 2, 4, 8))

    def full_above_two(_module: object, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 2:
            raise torch.OutOfMemoryError("full")

    with small._scorer.register_forward_pre_hook(full_above_two):
        assert [p.probability for p in small.predict(ecgs)] == [p.probability for p in whole.predict(ecgs)]


def test_cuda_is_refused_where_there_is_none() -> None:
    if "cuda" in DEVICES:
        assert choose_device("auto").type == "cuda"
        return
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigurationError, match="no CUDA device"):
        choose_device("cuda")


def test_batch_sizes_must_be_positive(bundle: Bundle) -> None:
    with pytest.raises(ConfigurationError, match="batch sizes"):
        Predictor(bundle, batch_sizes=(0, 2))


class SickDevice(SmallDevice):
    """Says what is wrong with it whenever it is asked for too many."""

    def __init__(self, capacity: int, error: Exception) -> None:
        super().__init__(capacity)
        self.error = error

    def score(self, start: int, stop: int) -> list[int]:
        self.asked.append(stop - start)
        if stop - start > self.capacity:
            raise self.error
        return list(range(start, stop))


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("something new"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be ..."),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
)
def test_failed_device_is_fatal_and_asked_nothing_more(error: Exception) -> None:
    device = SickDevice(0, error)
    with pytest.raises(DeviceError, match="restart the worker") as caught:
        score_halving(device.score, 8, 8)
    assert device.asked == [8]
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        MemoryError(),
    ],
)
def test_shortage_of_memory_by_any_name_halves_the_batch(error: Exception) -> None:
    assert score_halving(SickDevice(2, error).score, 8, 8) == list(range(8))
    with pytest.raises(DeviceMemoryError):
        score_halving(SickDevice(0, error).score, 1, 8)


def test_error_of_a_computation_stays_what_it_is() -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")
    with pytest.raises(RuntimeError) as caught:
        score_halving(SickDevice(0, error).score, 8, 8)
    assert caught.value is error


def test_device_that_fails_under_a_predictor_is_a_fatal_error(
    bundle: Bundle, ecgs: list[EcgFeaturized]
) -> None:
    predictor = Predictor(bundle)

    def fail(_module: object, _inputs: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    with predictor._scorer.register_forward_pre_hook(fail), pytest.raises(DeviceError):
        predictor.predict(ecgs)


@pytest.fixture
def precision() -> Iterator[None]:
    backends = torch.backends
    before = (
        backends.cudnn.conv.fp32_precision,
        backends.cuda.matmul.fp32_precision,
        backends.cudnn.deterministic,
        backends.cudnn.benchmark,
    )
    yield
    backends.cudnn.conv.fp32_precision, backends.cuda.matmul.fp32_precision = before[:2]
    backends.cudnn.deterministic, backends.cudnn.benchmark = before[2:]


def test_cuda_computes_in_whole_float32_by_fixed_algorithms(precision: None) -> None:
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    torch.backends.cudnn.benchmark = True
    compute_exactly()
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


@pytest.mark.cuda
def test_cuda_gives_the_probabilities_of_the_cpu(ecgs: list[EcgFeaturized]) -> None:
    on_cpu, on_cuda = (Predictor(load_bundle(DEFAULT_BUNDLE), name) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(scored(on_cuda, ecgs), scored(on_cpu, ecgs), atol=2e-4, rtol=2e-4)
