"""One small play of every kind of part: nothing lost, nothing invented, whatever breaks; fixed seeds."""

from pathlib import Path

import pytest

from ops.chaos.campaign import Campaign, run_campaign
from ops.chaos.regression_seeds import REGRESSION_SEEDS
from ops.services import has_apache_kafka

#: One for each part: workers, Kafka, Redis. More kinds than these take minutes: ``make chaos``.
KINDS = ("sigkill-stage", "broker-kill", "redis-flush")

#: With it the stage that is killed is alert, in the middle: what it remembers is put to the test.
SEED = 20262


@pytest.mark.parametrize("seed", [SEED, *REGRESSION_SEEDS])
async def test_faults_lose_nothing_and_invent_nothing(seed: int, services_root: Path, tmp_path: Path) -> None:
    if not has_apache_kafka():
        pytest.skip("Apache Kafka needs java and mvn on PATH")
    campaign = Campaign(
        home=services_root,
        seeds=[seed],
        results=tmp_path / "results.jsonl",
        ecgs=300,
        patients=30,
        faults=len(KINDS),
        kinds=KINDS,
        rate_per_s=15.0,  # slow enough that alert has worked and committed when it is killed
        patience_s=120.0,
    )
    said: list[str] = []
    (result,) = await run_campaign(campaign, said.append)
    assert result.holds, "\n".join(said)
    assert {fault["kind"] for fault in result.injected} == set(KINDS)
    assert result.totals["ecgs"] == campaign.ecgs
    assert result.totals["raised"] > 0
    assert result.totals["closed"] > 0
    assert result.totals["not_scored"] > 0
    assert result.totals["dead"] > 0
