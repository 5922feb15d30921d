"""Quiet for a patient, a ward or a site: what of it a caller may see, ask for and end.

The same for the API and the page: a mute silences alerts that others wait for, so it is for whom it concerns.
"""

from dataclasses import dataclass
from datetime import datetime

from schemas.audit import CareAction, CareScope, CareVerb
from streams.api.auth import Places
from streams.api.doors import Caller
from streams.api.problems import not_found, refusing
from streams.api.rules import Subject
from streams.api.services import Services
from streams.api.tokens import Role
from streams.deliver.acts import By, mute_subject, subject_act_id, unmute_subject
from streams.deliver.mutes import Mute, MuteKey
from streams.feeds.http.problems import ProblemError


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteDesk:
    """Where quiet is asked for.

    Attributes
    ----------
    origin : str
        ``api`` or ``inbox``, as the audit has it.
    """

    services: Services
    places: Places
    origin: str

    async def standing(self, caller: Caller) -> list[Mute]:
        """Return what is kept quiet now and the caller may see; that they looked is noted."""
        now = self.services.now()
        current = [each for each in self.services.book.book.mutes.values() if each.since <= now < each.until]
        theirs = [each for each in current if await self._may_see(caller, each)]
        for each in theirs:
            if each.scope is CareScope.PATIENT:
                self.services.looks.at_patient(caller.name, each.subject)
        return theirs

    async def mute(self, caller: Caller, about: MuteKey, until: datetime, text: str, key: str) -> None:
        """Keep a subject quiet; returns once Kafka has it. With the same key it is the same act.

        A patient may be named by any identifier; the quiet is that of the one in use, which alerts carry.

        Raises
        ------
        ProblemError
            403 or 404 when it is not the caller's, 422 when something is missing or out of bounds.
        RetriableError
            When Kafka did not take it, or Redis does not say which identifier is in use; the same may be
            tried again.
        """
        await self._require_theirs(caller, about)
        scope, subject, site_id = about = await self._in_use(about)
        if self._is_done(CareVerb.MUTED, about, caller, key):
            return

        def made() -> CareAction:
            by, now = self._by(caller), self.services.now()
            return mute_subject(scope, subject, by, now, until=until, text=text, key=key, site_id=site_id)

        await self.services.book.append(refusing(made))

    async def unmute(self, caller: Caller, about: MuteKey, key: str) -> None:
        """End a quiet, likewise; one from before a merge is ended under the name it was asked for.

        Sent again with its key it ends nothing that was asked for since.

        Raises
        ------
        ProblemError
            Likewise; 409 when it is not kept quiet.
        RetriableError
            Likewise.
        """
        await self._require_theirs(caller, about)
        if self._is_done(CareVerb.UNMUTED, about, caller, key):
            return
        if about not in self.services.book.book.mutes:
            about = await self._in_use(about)
        if self._is_done(CareVerb.UNMUTED, about, caller, key):
            return
        scope, subject, site_id = about
        if about not in self.services.book.book.mutes:
            raise ProblemError(409, "NOT_MUTED", "this is not kept quiet; see GET /v1/mutes for what is")
        by, now = self._by(caller), self.services.now()
        await self.services.book.append(
            refusing(lambda: unmute_subject(scope, subject, by, now, key=key, site_id=site_id))
        )

    async def may_change(self, caller: Caller, about: MuteKey) -> bool:
        """Whether the caller may mute or unmute this."""
        if not caller.token.may(Role.CLINICIAN):
            return False
        try:
            await self._require_theirs(caller, about)
        except ProblemError:
            return False
        return True

    async def _in_use(self, about: MuteKey) -> MuteKey:
        scope, subject, site_id = about
        if scope is not CareScope.PATIENT:
            return about
        return scope, (await self.services.history.identifiers(subject))[0], site_id

    def _is_done(self, verb: CareVerb, about: MuteKey, caller: Caller, key: str) -> bool:
        """Whether this very request was carried out before: its answer was lost, or a form was sent twice."""
        by = self._by(caller)
        return bool(key) and self.services.book.book.knows_act_on(about, subject_act_id(verb, about, by, key))

    def _by(self, caller: Caller) -> By:
        return By(actor=caller.name, origin=self.origin)

    async def _may_see(self, caller: Caller, mute: Mute) -> bool:
        if mute.scope is CareScope.SITE:
            return caller.token.sees_site(mute.subject)
        if mute.site_id and not caller.token.sees_site(mute.site_id):
            return False
        return await self._is_in_its_places(caller, mute.scope, mute.subject)

    async def _require_theirs(self, caller: Caller, about: MuteKey) -> None:
        (scope, subject, site_id), token = about, caller.token
        if scope is CareScope.SITE and not token.may(Role.ADMIN):
            raise ProblemError(403, "FORBIDDEN", f"a whole site is kept quiet by the role {Role.ADMIN} alone")
        if scope is CareScope.WARD and token.sites and not site_id:
            # Another site may have a ward of the same name.
            raise ProblemError(
                403, "FORBIDDEN", "a token of some sites says of which one the ward is: site_id"
            )
        if site_id and not token.sees_site(site_id):
            raise not_found("ward")
        if scope is CareScope.SITE:
            is_theirs = token.sees_site(subject) and not token.wards
        else:
            is_theirs = await self._is_in_its_places(caller, scope, subject)
        if not is_theirs:
            raise not_found(scope.lower())

    async def _is_in_its_places(self, caller: Caller, scope: CareScope, subject: str) -> bool:
        if not caller.token.is_scoped:
            return True
        about = Subject.PATIENT if scope is CareScope.PATIENT else Subject.WARD
        return await self.places.may_see(caller.token, about, subject)


def require_why(verb: CareVerb, text: str) -> None:
    """Refuse to keep one alert quiet without a reason, as a patient, a ward or a site is not either.

    Raises
    ------
    ProblemError
        422 when there is none.
    """
    if verb is CareVerb.MUTED and not text.strip():
        raise ProblemError(422, "REASON_MISSING", "say why it is to be quiet, as text: others will ask")
