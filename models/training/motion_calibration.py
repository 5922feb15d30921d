"""Make the motion generator's stated deviations true: 90 % of people within its 90 % intervals."""

import math
from typing import Final

import torch
from torch import Tensor

from models.cohorts.featurized import Cohort
from models.motion import MotionGenerator
from models.motion_measurements import N_VELOCITIES
from models.training.motion_pairs import Pairs

#: An output is calibrated where at least so many people have it.
_FEWEST: Final = 30
_SHARE: Final = 0.90
#: Of a normal distribution, 90 % lie within so many deviations.
_DEVIATIONS: Final = 1.645


@torch.no_grad()
def calibrate_uncertainty(generator: MotionGenerator, cohort: Cohort) -> Tensor:
    """Scale the generator's deviations so that its 90 % intervals hold 90 % of these people.

    Split conformal calibration (Lei et al., JASA 2018) of normal intervals: for each output the scale is the
    90 % quantile, one person further out, of error over deviation, over 1.645. The generator must not have
    been trained on these people.

    Returns
    -------
    torch.Tensor
        float32, (6,): by how much each deviation grew; 1 where fewer than 30 people have the wave. The
        generator's ``log_sd_shift`` holds it from now on.
    """
    device, surprises = generator.log_sd_shift.device, []
    for batch in Pairs(cohort).batches(device):
        made, log_sd = generator(batch.beats_uv, batch.context)
        surprises.append((batch.velocity_errors(made).abs() / log_sd.exp()).cpu())
    scale = torch.ones(N_VELOCITIES)
    for i, surprise in enumerate(torch.cat(surprises).unbind(dim=1)):
        known = surprise[torch.isfinite(surprise)]
        if known.numel() >= _FEWEST:
            rank = min(math.ceil(_SHARE * (known.numel() + 1)), known.numel())
            scale[i] = known.sort().values[rank - 1] / _DEVIATIONS
    generator.log_sd_shift += scale.log().to(device)
    return scale
