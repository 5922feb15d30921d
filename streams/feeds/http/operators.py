"""The quarantine's routes beside the feed's, for tokens with the role operator."""

from fastapi import APIRouter, Request

from streams.feeds.gateway_assembly import OpenGateway
from streams.feeds.http.asking import require_token
from streams.feeds.http.tokens import Role, Tokens
from streams.feeds.quarantine.acts import By, QuarantineDesk
from streams.feeds.quarantine.http import ORIGIN, QuarantineService, quarantine_router
from streams.stage import UtcClock, utc_now


def operator_routes(gateway: OpenGateway, tokens: Tokens | None, now: UtcClock = utc_now) -> APIRouter:
    """Make them; what is done is noted under the token's name, and its sites' deliveries alone are seen."""
    store = gateway.keeper.store
    service = QuarantineService(
        desk=QuarantineDesk(store.log, store.content, store.sealer, now),
        gateway=gateway,
        reads=gateway.ports.reads,
    )

    def operator(request: Request) -> By:
        token = require_token(request, tokens, Role.OPERATOR)
        return By(actor=token.name, origin=ORIGIN, sites=token.sites)

    return quarantine_router(lambda: service, operator)
