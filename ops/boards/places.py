"""Where boards find what they show, and the names by which everything refers to everything."""

from dataclasses import dataclass
from typing import Any, Final

#: Uids are at most 40 characters of letters, digits, dash and underscore.
FOLDER_UID: Final = "diastole"
FOLDER_TITLE: Final = "Diastole"
API_UID: Final = "diastole-api"
PROMETHEUS_UID: Final = "diastole-prometheus"

#: Grafana's own Infinity plugin: JSON over HTTP. Redis plugins turn missing numbers into 0.
INFINITY: Final = "yesoreyeram-infinity-datasource"
PROMETHEUS: Final = "prometheus"

API: Final[dict[str, Any]] = {"type": INFINITY, "uid": API_UID}
METRICS: Final[dict[str, Any]] = {"type": PROMETHEUS, "uid": PROMETHEUS_UID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Addresses.

    Attributes
    ----------
    api_url, prometheus_url : str
        As Grafana's server reaches them.
    inbox_url : str
        As a person's browser reaches the inbox.
    """

    api_url: str = "http://api:8010"
    prometheus_url: str = "http://prometheus:9090"
    inbox_url: str = "http://localhost:8010"
