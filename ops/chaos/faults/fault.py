"""What a fault is to the harness."""

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ops.chaos.cluster import Cluster


class Fault(Protocol):
    """One kind of trouble, made and ended on a running cluster.

    Attributes
    ----------
    kind : str
        Its name in :data:`ops.chaos.faults.FAULTS`, such as ``sigkill``.
    """

    @property
    def kind(self) -> str:
        """Name of the kind, as in :data:`ops.chaos.faults.FAULTS`."""
        ...

    def obstacle(self, cluster: "Cluster") -> str | None:
        """Say why this machine or this cluster cannot do it, in one line; None where it can."""
        ...

    async def inject(self, cluster: "Cluster", chance: random.Random) -> str:
        """Make the trouble and end it: on return every part runs and is reachable again.

        Parameters
        ----------
        chance : random.Random
            Decides all there is to decide, such as which worker and for how long.

        Returns
        -------
        str
            One line that says what was done, without any patient: ``SIGKILL featurize-1, back after 3.1 s``.
        """
        ...
