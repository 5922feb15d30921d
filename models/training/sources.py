"""Where the rows of the learnt parts come from: simulated cohorts, or a site's paired one."""

from dataclasses import dataclass
from typing import Final

from models.cohorts.rows import RowSource
from models.cohorts.simulated_cohorts import development, doppler, external, registry
from models.manifest import LEARNT_PARTS

REGISTRY: Final = "registry"
#: What the external cohort is, where the carts that recorded it are others.
ANOTHER_POPULATION: Final = (
    "another population, on a recorder no part was trained on; judged by the ensemble as it is"
)
#: And where it is a part of the cohort that was trained on.
SAME_SITE: Final = "patients of the same site that nothing was fitted on; judged by the ensemble as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSources:
    """Sets of patients: no two of the last three share one, and the encoder sees no label.

    Attributes
    ----------
    registry : RowSource
        ECGs without labels, for the encoder.
    doppler : RowSource
        ECGs with tissue Doppler, for the motion generator.
    development : RowSource
        ECGs with the phenotype's label, for the ensemble; judged out of fold.
    external : RowSource or None
        Labelled ECGs that nothing is fitted on; None where a site has none.
    what : str
        Who they are, for manifest and card, a sentence without its full stop.
    external_what : str
        Who those of ``external`` are, and how they are judged, for the report.
    """

    registry: RowSource
    doppler: RowSource
    development: RowSource
    external: RowSource | None
    what: str
    external_what: str

    @property
    def is_simulated(self) -> dict[str, bool]:
        """Whether those were that each of :data:`models.manifest.LEARNT_PARTS` is trained on."""
        trained_on = (self.registry, self.doppler, self.development)
        simulated = (each.provenance.is_simulated for each in trained_on)
        return dict(zip(LEARNT_PARTS, simulated, strict=True))

    def by_name(self) -> dict[str, RowSource]:
        """Those that are there, by the name of their folder in a run."""
        named = {
            REGISTRY: self.registry,
            "doppler": self.doppler,
            "development": self.development,
            "external": self.external,
        }
        return {name: source for name, source in named.items() if source is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many simulated ECGs each part gets; development and external as in the published study."""

    registry: int = 16_000
    doppler: int = 6_000
    development: int = 1012
    external: int = 956


def simulated_sources(sizes: Sizes, seed: int) -> TrainingSources:
    """Draw all four: the first three on three makes of cart, the external one on a fourth."""
    return TrainingSources(
        registry=registry(sizes.registry, seed),
        doppler=doppler(sizes.doppler, seed),
        development=development(sizes.development, seed),
        external=external(sizes.external, seed),
        what="simulated people with simulated echocardiograms; nobody real",
        external_what=ANOTHER_POPULATION,
    )
