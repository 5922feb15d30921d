"""What the study is given: every cohort scored by the bundle, going on where it was interrupted."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_bundle import tiny_bundle_folder

from models.bundle import load_bundle
from models.cohorts.errors import CohortError
from models.cohorts.rows import CohortEcg
from models.cohorts.simulated_cohorts import SimulatedCohort, code_like, development, echonext_like, external
from models.cohorts.store import featurize_cohort
from models.cohorts.subset import SubsetRows
from models.progress import silent
from models.scorer import Extractor
from models.scoring import extract, score_cohort
from models.study.inputs import StudySources, gather, simulated_study
from models.study.streamed import score_rows
from models.study.study import run_study
from models.training.out_of_fold import out_of_fold


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(tiny_bundle_folder(tmp_path_factory.mktemp("bundles")))


@pytest.fixture(scope="module")
def gathered(bundle, tmp_path_factory):
    sources = StudySources(
        development=development(60),
        external=external(40),
        diseases=echonext_like(60, 30),
        outcomes=code_like(60),
        is_quick=True,
    )
    return gather(bundle, sources, tmp_path_factory.mktemp("study"), progress=silent)


def test_published_sizes_are_studied_by_default():
    sources = simulated_study()
    assert len(sources.development) == 1012
    assert len(sources.external) == 956
    assert len(sources.diseases) == 100_000
    assert len(sources.outcomes) == 233_770
    assert not sources.is_quick


def test_every_cohort_says_what_its_patients_were(gathered):
    cohorts = (
        gathered.development,
        gathered.external,
        gathered.diseases,
        gathered.outcomes,
        *gathered.motion,
    )
    assert all(each.is_simulated for each in cohorts)
    assert [each.n_patients for each in cohorts[:4]] == [60, 40, 30, 60]
    assert [each.is_external for each in gathered.motion] == [False, True]


def test_several_models_are_judged_on_the_same_patients(gathered):
    assert set(gathered.development.probability) == set(gathered.external.probability)
    assert {"ensemble", "foundation", "motion"} <= set(gathered.external.probability)
    assert gathered.development.threshold == gathered.external.threshold


def test_the_external_cohort_is_judged_by_the_ensemble_of_the_bundle_as_it_is(bundle, gathered, tmp_path):
    cohort = featurize_cohort(external(40), tmp_path)
    expected = score_cohort(bundle, cohort).probability
    np.testing.assert_allclose(gathered.external.probability["ensemble"], expected, atol=1e-6)


def test_heads_are_fitted_anew_by_the_plan_the_folds_and_the_seed_of_the_bundle(bundle, gathered, tmp_path):
    cohort, manifest = featurize_cohort(development(60), tmp_path), bundle.manifest
    found = extract(Extractor(bundle.encoder, bundle.motion, manifest.input).eval(), cohort)
    label, patients = cohort.outcomes["is_high_risk"], cohort.patient_keys
    given = (found.embedding, found.motion, np.array(cohort.features), label)
    for n_folds, is_same in ((manifest.n_folds, True), (manifest.n_folds + 1, False)):
        expected = out_of_fold(*given, manifest.heads, manifest.training.seed, patients, n_folds=n_folds)
        assert np.allclose(gathered.development.probability["ensemble"], expected.probability) == is_same


def test_causes_of_death_are_named_where_they_are_known(gathered):
    assert gathered.outcomes.are_causes_known
    assert gathered.outcomes.event_names[0] == "death of heart failure"


def test_the_study_runs_on_what_was_gathered(gathered):
    result = run_study(gathered)
    assert result.is_quick
    assert result.development.cohort.n_patients == 60


class Interrupted:
    """The same rows from a source that fails from one of them on, as a killed process would."""

    def __init__(self, whole: SimulatedCohort) -> None:
        self._whole, self.provenance = whole, whole.provenance

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, i: int) -> CohortEcg:
        if i >= 40:
            raise KeyboardInterrupt
        return self._whole[i]


def test_an_interrupted_scoring_goes_on_and_gives_the_same(bundle, tmp_path):
    pieces = {"chunk_rows": 8, "chunks_a_file": 2}
    whole = code_like(64)
    uninterrupted = score_rows(bundle, whole, tmp_path / "a", 1, silent, **pieces)
    with pytest.raises(KeyboardInterrupt):
        score_rows(bundle, Interrupted(whole), tmp_path / "b", 1, silent, **pieces)
    assert len(list((tmp_path / "b").rglob("*.npz"))) == 2
    resumed = score_rows(bundle, whole, tmp_path / "b", 1, silent, **pieces)
    assert (resumed.probability == uninterrupted.probability).all()
    assert (resumed.patient_keys == uninterrupted.patient_keys).all()
    assert resumed.outcomes["event"].tolist() == uninterrupted.outcomes["event"].tolist()


def test_scores_of_another_bundle_or_cohort_are_not_taken_up(bundle, tmp_path):
    score_rows(bundle, code_like(8), tmp_path, 1, silent)
    score_rows(bundle, replace(code_like(8), seed=2), tmp_path, 1, silent)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cohort_without_rows_is_refused_with_what_was_left_out(bundle, tmp_path):
    nobody = SubsetRows(code_like(8), [], "nobody")
    with pytest.raises(CohortError, match=r"no row to score \(not chosen 8\): check that"):
        score_rows(bundle, nobody, tmp_path, 1, silent)
    assert len(list(tmp_path.iterdir())) == 0
