"""A stand-in for Grafana: real HTTP on loopback, stateful, stricter than Grafana where that catches mistakes.

It is not Grafana, and draws nothing. It answers as Grafana's documented HTTP API does (folders, data sources
by uid, dashboards, alert rule groups, frontend settings), refuses what that API does not describe, and
remembers what it took. Where Grafana forgives (unknown fields, panels whose data source is not there) it
refuses, so that a test sees the mistake. Versions 11, 12 and 13 differ in what is addressed by id, and in
what Grafana adds to a board when it is read.
"""

import json
import re
import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADMIN_TOKEN = "glsa_stand_in_admin"  # noqa: S105 (of the stand-in)
VIEWER_TOKEN = "glsa_stand_in_viewer"  # noqa: S105

_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_SOURCE_FIELDS = {
    "uid", "name", "type", "access", "url", "user", "database", "basicAuth", "basicAuthUser", "isDefault",
    "jsonData", "secureJsonData", "withCredentials", "version", "readOnly",
}  # fmt: skip
_PLUGIN_FIELDS = {
    "yesoreyeram-infinity-datasource": {
        "auth_method", "allowedHosts", "timeoutInSeconds", "allowDangerousHTTPMethods",
    },
    "prometheus": {"httpMethod", "timeInterval"},
}  # fmt: skip
_SECRETS = {"yesoreyeram-infinity-datasource": {"bearerToken"}, "prometheus": set[str]()}
_BOARD_FIELDS = {
    "id", "uid", "version", "schemaVersion", "title", "description", "tags", "refresh", "time", "timezone",
    "editable", "templating", "annotations", "links", "panels",
}  # fmt: skip
_PANEL_FIELDS = {
    "id", "type", "title", "description", "datasource", "gridPos", "targets", "fieldConfig", "options",
    "transformations", "links",
}  # fmt: skip
_PANEL_TYPES = {"timeseries", "stat", "table", "state-timeline", "text"}
_INFINITY_TARGET = {
    "refId", "datasource", "type", "source", "parser", "format", "url", "url_options", "root_selector",
    "columns", "computed_columns", "filters",
}  # fmt: skip
_PROMETHEUS_TARGET = {"refId", "datasource", "editorMode", "expr", "legendFormat", "range"}
_COLUMN_TYPES = {"string", "number", "timestamp", "timestamp_epoch", "timestamp_epoch_s", "boolean"}
_SAVE_FIELDS = {"dashboard", "folderUid", "message", "overwrite"}
_RULE_FIELDS = {
    "uid", "orgID", "folderUID", "ruleGroup", "title", "condition", "data", "noDataState", "execErrState",
    "for", "annotations", "labels", "isPaused",
}  # fmt: skip
_QUERY_FIELDS = {"refId", "queryType", "relativeTimeRange", "datasourceUid", "model"}

#: What the API documents as required.
_RULE_NEEDS = {
    "orgID", "folderUID", "ruleGroup", "title", "condition", "data", "noDataState", "execErrState", "for",
}  # fmt: skip
_SOURCE_NEEDS = {"uid", "name", "type", "access", "url"}
_BOARD_NEEDS = {"uid", "title", "schemaVersion", "panels", "templating", "annotations"}


class Refusal(Exception):  # noqa: N818 (it is an answer)
    """An answer of 400 and above."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def _need(holds: bool, message: str, status: int = 400) -> None:
    if not holds:
        raise Refusal(status, message)


@dataclass
class GrafanaStandIn:
    """What it holds, and what it was asked."""

    major: int = 12
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    rewrites_boards: bool = False

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Requests that would change something."""
        return [each for each in self.asked if each[0] != "GET"]

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        """Answer one request."""
        self.asked.append((method, path))
        _need(token in (ADMIN_TOKEN, VIEWER_TOKEN), "Invalid API key", 401)
        may_all = token == ADMIN_TOKEN
        for pattern, verb, function in self._routes():
            found = re.fullmatch(pattern, path)
            if found and verb == method:
                needs_admin = method != "GET" or "datasources" in path or "provisioning" in path
                _need(may_all or not needs_admin, "You'll need additional permissions", 403)
                return function(*found.groups(), *([body] if method != "GET" else []))
        raise Refusal(404, "Not found")

    def edit_board(self, uid: str, **changes: Any) -> None:
        """Save a board as a person would, on Grafana's page."""
        held = self.boards[uid]
        held["dashboard"] = {**held["dashboard"], **changes, "version": held["dashboard"]["version"] + 1}

    def _routes(self) -> list[tuple[str, str, Any]]:
        one = r"([^/]+)"
        by_id = [(r"/api/datasources/(\d+)", "GET", self._source_by_id)] if self.major < 13 else []
        return [
            ("/api/frontend/settings", "GET", lambda: (200, {"buildInfo": {"version": f"{self.major}.1.0"}})),
            (f"/api/folders/{one}", "GET", self._get_folder),
            ("/api/folders", "POST", self._make_folder),
            (f"/api/folders/{one}", "PUT", self._put_folder),
            (f"/api/datasources/uid/{one}", "GET", self._get_source),
            ("/api/datasources", "POST", self._make_source),
            (f"/api/datasources/uid/{one}", "PUT", self._put_source),
            *by_id,
            (f"/api/dashboards/uid/{one}", "GET", self._get_board),
            ("/api/dashboards/db", "POST", self._save_board),
            (f"/api/v1/provisioning/folder/{one}/rule-groups/{one}", "GET", self._get_rules),
            (f"/api/v1/provisioning/folder/{one}/rule-groups/{one}", "PUT", self._put_rules),
        ]

    # folders

    def _get_folder(self, uid: str) -> tuple[int, Any]:
        _need(uid in self.folders, "folder not found", 404)
        return 200, self.folders[uid]

    def _make_folder(self, body: Any) -> tuple[int, Any]:
        _fields("folder", body, {"uid", "title"})
        _need(bool(_UID.fullmatch(body.get("uid") or "")), "a folder needs a uid")
        _need(bool(body.get("title")), "folder title cannot be empty")
        _need(body["uid"] not in self.folders, "a folder with that uid exists", 412)
        self._free_title(body["title"], body["uid"])
        self.folders[body["uid"]] = {"id": len(self.folders) + 1, "version": 1, **body}
        return 200, self.folders[body["uid"]]

    def _put_folder(self, uid: str, body: Any) -> tuple[int, Any]:
        _need(uid in self.folders, "folder not found", 404)
        _fields("folder", body, {"title", "version", "overwrite"})
        held = self.folders[uid]
        fits = body.get("overwrite") or body.get("version") == held["version"]
        _need(bool(fits), "the folder has been changed by someone else", 412)
        self._free_title(body["title"], uid)
        held.update(title=body["title"], version=held["version"] + 1)
        return 200, held

    def _free_title(self, title: str, uid: str) -> None:
        taken = any(each["title"] == title and key != uid for key, each in self.folders.items())
        _need(not taken, "a folder with the same name already exists in the current location", 409)

    # data sources

    def _get_source(self, uid: str) -> tuple[int, Any]:
        _need(uid in self.sources, "Data source not found", 404)
        known = dict.fromkeys(self.secrets.get(uid, {}), True)
        return 200, {**self.sources[uid], "secureJsonFields": known}

    def _source_by_id(self, number: str) -> tuple[int, Any]:
        found = [each for each in self.sources.values() if each["id"] == int(number)]
        _need(bool(found), "Data source not found", 404)
        return 200, found[0]

    def _make_source(self, body: Any) -> tuple[int, Any]:
        self._check_source(body)
        _need(body["uid"] not in self.sources, "data source with the same uid already exists", 409)
        return self._keep_source(body, {"id": len(self.sources) + 1, "version": 1})

    def _put_source(self, uid: str, body: Any) -> tuple[int, Any]:
        _need(uid in self.sources, "Data source not found", 404)
        held = self.sources[uid]
        _need(not held.get("readOnly"), "Cannot update read-only data source", 403)
        self._check_source(body)
        return self._keep_source(body, {"id": held["id"], "version": held["version"] + 1})

    def _check_source(self, body: Any) -> None:
        _fields("data source", body, _SOURCE_FIELDS, _SOURCE_NEEDS)
        _need(bool(_UID.fullmatch(body.get("uid") or "")), "a data source needs a uid")
        kind = body.get("type")
        _need(kind in _PLUGIN_FIELDS, f"no plugin {kind}")
        _need(body.get("access") == "proxy", "access must be proxy: the browser must not hold the token")
        own = {key for key in body.get("jsonData", {}) if not key.startswith("diastole")}
        _need(own <= _PLUGIN_FIELDS[kind], f"unknown jsonData {sorted(own - _PLUGIN_FIELDS[kind])}")
        secrets = set(body.get("secureJsonData", {}))
        _need(secrets <= _SECRETS[kind], f"unknown secureJsonData {sorted(secrets)}")
        taken = any(each["name"] == body["name"] and key != body["uid"] for key, each in self.sources.items())
        _need(not taken, "data source with the same name already exists", 409)

    def _keep_source(self, body: Any, more: dict[str, Any]) -> tuple[int, Any]:
        uid = body["uid"]
        secrets = body.pop("secureJsonData", {})
        # Secrets that are not sent again stay, as Grafana has it.
        self.secrets.setdefault(uid, {}).update(secrets)
        self.sources[uid] = {"orgId": 1, "user": "", "database": "", "withCredentials": False, **body, **more}
        return 200, {"id": more["id"], "message": "Datasource added", "datasource": self.sources[uid]}

    # dashboards

    def _get_board(self, uid: str) -> tuple[int, Any]:
        _need(uid in self.boards, "Dashboard not found", 404)
        held = self.boards[uid]
        meta = {
            "folderUid": held["folderUid"],
            "version": held["dashboard"]["version"],
            **held.get("meta", {}),
        }
        return 200, {"meta": meta, "dashboard": self._board_of_version(held["dashboard"])}

    def _board_of_version(self, model: dict[str, Any]) -> dict[str, Any]:
        """What a version adds to a board when it is read."""
        read = deepcopy(model)
        if self.major >= 12:
            read["schemaVersion"] = max(read["schemaVersion"], 41 if self.major == 12 else 42)
            read["annotations"]["list"].insert(0, {"builtIn": 1, "name": "Annotations & Alerts"})
        if self.major >= 13:
            read["preload"] = False
            for panel in read["panels"]:
                panel["pluginVersion"] = f"{self.major}.1.0"
        if self.rewrites_boards:
            read["panels"][0]["options"] = {"rewritten": True}
        return read

    def _save_board(self, body: Any) -> tuple[int, Any]:
        _fields("saved board", body, _SAVE_FIELDS, {"dashboard", "folderUid", "overwrite"})
        model = body["dashboard"]
        _fields("board", model, _BOARD_FIELDS, _BOARD_NEEDS)
        uid = model.get("uid") or ""
        _need(bool(_UID.fullmatch(uid)), "a board needs a uid")
        _need(model.get("id") is None, "boards are addressed by uid")
        _need(body["folderUid"] in self.folders, "folder not found")
        self._check_board(model)
        held = self.boards.get(uid)
        _need(not (held or {}).get("meta", {}).get("provisioned"), "Cannot save provisioned dashboard")
        version = held["dashboard"]["version"] if held else 0
        fits = body["overwrite"] or held is None or model.get("version") == version
        _need(fits, "The dashboard has been changed by someone else", 412)
        same_title = any(
            key != uid
            and each["dashboard"]["title"] == model["title"]
            and each["folderUid"] == body["folderUid"]
            for key, each in self.boards.items()
        )
        _need(not same_title, "A dashboard with the same name in the folder already exists", 412)
        kept = {**deepcopy(model), "id": len(self.boards) + 1, "version": version + 1}
        self.boards[uid] = {"dashboard": kept, "folderUid": body["folderUid"], "message": body.get("message")}
        return 200, {"uid": uid, "id": kept["id"], "status": "success", "version": kept["version"]}

    def _check_board(self, model: Any) -> None:
        numbers = [panel["id"] for panel in model["panels"]]
        _need(len(set(numbers)) == len(numbers), "panel ids must differ")
        for panel in model["panels"]:
            _fields("panel", panel, _PANEL_FIELDS, {"id", "type", "gridPos", "datasource", "targets"})
            _need(panel["type"] in _PANEL_TYPES, f"no panel {panel['type']}")
            place = panel["gridPos"]
            _need(set(place) == {"x", "y", "w", "h"} and place["x"] + place["w"] <= 24, "panel off the board")
            self._check_reference(panel["datasource"])
            for target in panel["targets"]:
                self._check_target(target)
        for variable in model["templating"]["list"]:
            _need(variable["type"] in {"textbox", "query", "custom"}, f"no variable type {variable['type']}")
            if variable["type"] == "query":
                self._check_reference(variable["datasource"])
                self._check_target(variable["query"]["infinityQuery"])
        for annotation in model["annotations"]["list"]:
            self._check_reference(annotation["datasource"])
            self._check_target(annotation["target"])

    def _check_reference(self, reference: Any) -> None:
        _need(set(reference) == {"type", "uid"}, "a data source is named by type and uid")
        source = self.sources.get(reference["uid"])
        _need(source is not None, f"no data source {reference['uid']}")
        _need(source is not None and source["type"] == reference["type"], "wrong type of data source")

    def _check_target(self, target: Any) -> None:
        self._check_reference(target["datasource"])
        if target["datasource"]["type"] == "prometheus":
            _fields("target", target, _PROMETHEUS_TARGET)
            return
        _fields("target", target, _INFINITY_TARGET)
        _need(target["parser"] == "backend", "only the backend parser keeps what is missing missing")
        for column in target["columns"]:
            _fields("column", column, {"selector", "text", "type"})
            _need(column["type"] in _COLUMN_TYPES, f"column {column['text']} must be typed")

    # alert rules

    def _get_rules(self, folder: str, group: str) -> tuple[int, Any]:
        _need((folder, group) in self.rules, "rule group does not exist", 404)
        return 200, self.rules[folder, group]

    def _put_rules(self, folder: str, group: str, body: Any) -> tuple[int, Any]:
        group_fields = {"title", "folderUid", "interval", "rules"}
        _fields("rule group", body, group_fields, group_fields)
        _need(folder in self.folders, "folder does not exist")
        _need(body["folderUid"] == folder and body["title"] == group, "path and body differ")
        _need(body["interval"] % 10 == 0 and body["interval"] > 0, "interval must be a multiple of 10 s")
        for rule in body["rules"]:
            self._check_rule(rule, folder, group)
        uids = [rule["uid"] for rule in body["rules"]]
        others = {
            rule["uid"]
            for key, held in self.rules.items()
            if key != (folder, group)
            for rule in held["rules"]
        }
        _need(len(set(uids)) == len(uids) and not others & set(uids), "a rule of that uid exists", 409)
        titles = [rule["title"] for rule in body["rules"]]
        _need(len(set(titles)) == len(titles), "two rules of one title in a folder", 409)
        added = {"id": 1, "updated": "2026-01-01T00:00:00Z", "provenance": "api"}
        rules = [{**rule, **added, "notification_settings": None, "record": None} for rule in body["rules"]]
        self.rules[folder, group] = {**body, "rules": rules}
        return 200, self.rules[folder, group]

    def _check_rule(self, rule: Any, folder: str, group: str) -> None:
        _fields("rule", rule, _RULE_FIELDS, _RULE_NEEDS)
        _need(rule["orgID"] == 1, "another organisation")
        _need(bool(_UID.fullmatch(rule.get("uid") or "")), "a rule needs a uid")
        _need(rule["folderUID"] == folder and rule["ruleGroup"] == group, "wrong folder or group")
        _need(bool(re.fullmatch(r"\d+[smh]", rule["for"])), "for must be a duration")
        _need(rule["noDataState"] in {"OK", "NoData", "Alerting", "KeepLast"}, "noDataState")
        _need(rule["execErrState"] in {"OK", "Error", "Alerting", "KeepLast"}, "execErrState")
        texts = [*rule["annotations"].values(), *rule["labels"].values()]
        _need(all(isinstance(text, str) for text in texts), "annotations and labels are texts")
        for query in rule["data"]:
            _fields("query", query, _QUERY_FIELDS, _QUERY_FIELDS)
            _need(query["model"].get("refId") == query["refId"], "a query's model has another refId")
        references = {query["refId"] for query in rule["data"]}
        _need(rule["condition"] in references, "the condition names no query")
        for query in rule["data"]:
            is_known = query["datasourceUid"] in {"__expr__", *self.sources}
            _need(is_known, f"no data source {query['datasourceUid']}")
            # Grafana writes these into every query without them, which would look like an edit by hand.
            _need({"intervalMs", "maxDataPoints"} <= set(query["model"]), "defaults of a query")
        board = rule["annotations"].get("__dashboardUid__")
        _need(board is None or board in self.boards, f"no board {board}")


def _fields(what: str, body: Any, known: set[str], needed: Set[str] = frozenset()) -> None:
    _need(isinstance(body, dict), f"{what} must be an object")
    _need(needed <= set(body), f"{what} lacks {sorted(needed - set(body))}")
    unknown = set(body) - known
    _need(not unknown, f"{what} has unknown fields {sorted(unknown)}")


@contextmanager
def grafana_stand_in(major: int = 12) -> Iterator[GrafanaStandIn]:
    """Serve a stand-in on a free loopback port for as long as the context lasts."""
    held = GrafanaStandIn(major=major)

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(size)
            scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
            try:
                body = json.loads(raw) if raw else None
                status, answer = held.answer(
                    self.command, self.path.partition("?")[0], token if scheme == "Bearer" else "", body
                )
            except Refusal as refusal:
                status, answer = refusal.status, {"message": refusal.message}
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 (names of http.server)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (likewise)
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
