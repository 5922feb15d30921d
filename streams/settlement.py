"""What must be durable before a message may be acknowledged, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from streams.dead_letters import dead_letter
from streams.message import Outgoing, StateStore, Transport
from streams.outcome import Outcome
from streams.progress import Progress
from streams.retry import Retrying
from streams.stage import Stage
from streams.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settlement:
    """Settles one batch after the other.

    1. Results and dead letters are acknowledged by Kafka,
    2. the effect outside Kafka is done,
    3. changes of state are acknowledged by Kafka,
    4. the messages are acknowledged, in partition order.

    A crash between any two of these repeats what came before, from the state before; all of it is idempotent.
    """

    stage: Stage[Any]
    dead_letters: str
    transport: Transport
    state: StateStore | None
    retrying: Retrying
    tally: Tally
    progress: Progress

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Take the four steps for one batch.

        Raises
        ------
        GivenUpError
            When told to give up while trying again; nothing of this batch is acknowledged.
        """
        await self._publish(outcomes)
        await self._effect(outcomes)
        await self._remember(outcomes)
        for outcome in outcomes:
            await self.transport.acknowledge(outcome.message)
            self.progress.acknowledged()
            self.tally.done(outcome, self.progress.in_flight)

    async def _publish(self, outcomes: Sequence[Outcome]) -> None:
        outgoing = [message for outcome in outcomes for message in self._outgoing(outcome)]
        if outgoing:
            await self.retrying.until_done("publish", partial(self.transport.send, outgoing))

    def _outgoing(self, outcome: Outcome) -> Sequence[Outgoing]:
        if outcome.error is not None:
            return [dead_letter(outcome.message, outcome.error, self.stage.name, self.dead_letters)]
        return outcome.outgoing

    async def _effect(self, outcomes: Sequence[Outcome]) -> None:
        results = [result for outcome in outcomes for result in outcome.results]
        if self.stage.effect is not None and results:
            await self.retrying.until_done("effect", partial(self.stage.effect, results))

    async def _remember(self, outcomes: Sequence[Outcome]) -> None:
        changes = {(o.message.partition, o.change[0]): o.change[1] for o in outcomes if o.change is not None}
        if self.state is not None and changes:
            await self.retrying.until_done("memory", partial(self.state.write, changes))
