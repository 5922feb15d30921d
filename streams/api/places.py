"""Where patients, alerts and ECGs belong, for callers that see some wards only."""

from dataclasses import dataclass

from streams.api.rules import Subject
from streams.api.services import Services
from streams.api.tokens import CareToken


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlaces:
    """Looks places up where the endpoints read; see :class:`streams.api.auth.Places`.

    A patient belongs where the newest ECG was recorded. An alert belongs there too, and to the ward it was
    raised in: those who were paged keep it when the patient is moved.
    """

    services: Services

    async def may_see(self, token: CareToken, subject: Subject, name: str) -> bool:
        """Whether it is there and within the token's places."""
        if subject is Subject.WARD:
            return token.sees_ward(name)
        if subject is Subject.PATIENT:
            return await self._patient(token, name)
        if subject is Subject.ALERT:
            return await self._alert(token, name)
        return await self._ecg(token, name)

    async def _patient(self, token: CareToken, patient_id: str) -> bool:
        row = await self.services.wards.latest(patient_id)
        return row is not None and token.sees(row.site_id, row.ward_id)

    async def _alert(self, token: CareToken, alert_id: str) -> bool:
        case = self.services.book.book.cases.get(alert_id)
        if case is None:
            return False
        alert = case.alert
        return token.sees(alert.site_id, alert.ward_id) or await self._patient(token, alert.patient_id)

    async def _ecg(self, token: CareToken, ecg_id: str) -> bool:
        strip = await self.services.waveforms.strip(ecg_id)
        if strip is None:
            return False
        return token.sees(strip.site_id, strip.ward_id) or await self._patient(token, strip.patient_id)
