"""What the demo says about single messages, and about how far the run is: one line each."""

from typing import Final

from rich.text import Text

from ops.ledger import Ledger
from ops.percentiles import in_ms, percentile
from ops.rendering import counted, decimal, reason_words, risk_text
from ops.topic_reader import Seen
from schemas.alert import AlertClosed, AlertRaised
from schemas.risk import Phenotype, RiskAssessed
from streams.dead_letters import ERROR_CODE, ERROR_MESSAGE

_SIMULATED: Final = "SIM-"
STYLES: Final = {Phenotype.HIGH: "bold red", Phenotype.LOW: "green", Phenotype.NOT_SCORED: "yellow"}


class Names:
    """How patients are shown: simulated ones by their made-up identifier, real ones by their file alone."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}

    def introduce(self, patient_id: str, shown: str) -> None:
        """Show this real patient as ``shown`` from now on."""
        self._shown[patient_id] = shown

    def shown(self, patient_id: str) -> str:
        """Return what to show; nobody's real identifier.

        >>> Names().shown("SIM-007001"), Names().shown("642341")
        ('SIM-007001', 'real file')
        """
        return patient_id if is_simulated(patient_id) else self._shown.get(patient_id, "real file")


def is_simulated(patient_id: str) -> bool:
    """Whether this patient is made up, so that the identifier may be shown."""
    return patient_id.startswith(_SIMULATED)


def alert_text(alert: AlertRaised, ledger: Ledger) -> str:
    """Say what changed, and how the synthetic e' did since the patient's last LOW ECG before the alert."""
    after = alert.motion.e_prime_cm_s if alert.motion else None
    earlier = [
        risk
        for risk in ledger.risks.values()
        if risk.patient_id == alert.patient_id
        and risk.phenotype is Phenotype.LOW
        and risk.acquired_at < alert.acquired_at
    ]
    last_low = max(earlier, key=lambda risk: risk.acquired_at, default=None)
    before = last_low.motion.e_prime_cm_s if last_low and last_low.motion else None
    if after is None:
        return alert.change_text
    from_ = "" if before is None else f"{decimal(before, 1)} → "
    return f"{alert.change_text} e' {from_}{decimal(after, 1)} cm/s."


def news_of(seen: Seen, names: Names, ledger: Ledger) -> Text | None:
    """Say in one line what is worth a line; None for what is routine."""
    topic, record = seen.message.topic, seen.record
    if topic.endswith(".dlq"):
        headers = {name: (text or b"").decode("utf-8", "replace") for name, text in seen.message.headers}
        reason = f"{headers.get(ERROR_CODE, '?')}: {headers.get(ERROR_MESSAGE, '?')}"
        return _line("Dead letter", "magenta", topic, reason)
    match record:
        case AlertRaised():
            what = alert_text(record, ledger)
            return _line("ALERT", "bold white on red", names.shown(record.patient_id), what)
        case AlertClosed():
            return _line("Closed", "green", names.shown(record.patient_id), "the risk returned to low")
        case RiskAssessed() if record.probability is None:
            reasons = reason_words(record.not_scored_reasons)
            return _line("Not scored", "yellow", names.shown(record.patient_id), reasons)
        case RiskAssessed() if not is_simulated(record.patient_id):
            style = STYLES[record.phenotype]
            return _line("Scored", style, names.shown(record.patient_id), risk_text(record))
        case _:
            return None


def _line(label: str, style: str, who: str, what: str) -> Text:
    return Text.assemble((f"{label:<11}", style), f"  {who}  {what}")


def counts_text(ledger: Ledger) -> str:
    """Say how far the run is, in one line."""
    counts = (
        f"{counted(ledger.messages_in, 'message')} in: {ledger.scored} scored, "
        f"{ledger.not_scored_total} not scored, {counted(ledger.dead.total(), 'dead letter')}, "
        f"{ledger.open_count} on the way; {counted(len(ledger.alerts), 'alert')}"
    )
    if not ledger.risk_ms:
        return counts
    return f"{counts}; publish → risk p50 {in_ms(percentile(ledger.risk_ms, 50))}"
