"""Paths within this server, from what requests say."""

from typing import Final

_LEADS_ELSEWHERE: Final = frozenset({"/", "\\"})


def local_path(asked: str) -> str:
    r"""Keep a redirect on this server.

    >>> local_path("/alerts/7?x=1"), local_path("//elsewhere"), local_path("/\\elsewhere"), local_path("")
    ('/alerts/7?x=1', '/', '/', '/')
    """
    is_ours = asked.startswith("/") and asked[1:2] not in _LEADS_ELSEWHERE and asked.isprintable()
    return asked if is_ours else "/"
