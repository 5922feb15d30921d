"""The read API against its own description: whatever is sent, no server error, and answers as described."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from care_api import ALERT, ECG_ID, PATIENT, hospital
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

#: Enough to find what stands near the surface, in half a minute for all operations together.
EXAMPLES = 20
#: Pictures take a tenth of a second each.
EXAMPLES_OF_PICTURES, PICTURES = 3, r"(png|svg)$"

_FOLDER = tempfile.TemporaryDirectory()
PLACE = hospital(Path(_FOLDER.name))
PLACE.changes.end()  # streams then end at once
HEADERS = {"Authorization": f"Bearer {PLACE.tokens['admin']}"}

schema = schemathesis.openapi.from_asgi(
    "/openapi.json", PLACE.api.guarded, headers=HEADERS, config=SchemathesisConfig()
)

_SENT = {"method", "url", "headers", "params", "json", "data", "content"}

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.response_headers_conformance,
]

#: What is there, so that not all that is asked for is 404.
KNOWN = {"patient_id": PATIENT, "ward_id": "W1", "alert_id": ALERT.alert_id, "ecg_id": ECG_ID}


def bounded(n_examples: int) -> settings:
    return settings(
        max_examples=n_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@schema.exclude(path_regex=PICTURES).parametrize()
@bounded(EXAMPLES)
def test_whatever_is_sent_is_answered_as_described(case: Case) -> None:
    answer_both_ways(case)


@schema.include(path_regex=PICTURES).parametrize()
@bounded(EXAMPLES_OF_PICTURES)
def test_whatever_picture_is_asked_for_is_answered_as_described(case: Case) -> None:
    answer_both_ways(case)


def answer_both_ways(case: Case) -> None:
    answer_and_check(case)
    # Once more of what is there, as hardly any name that is made up is.
    case.path_parameters = {name: KNOWN.get(name, said) for name, said in case.path_parameters.items()}
    answer_and_check(case)


def answer_and_check(case: Case) -> None:
    asked = case.as_transport_kwargs(base_url="http://testserver", headers=HEADERS)
    # Sent by httpx: schemathesis' own way looks into urllib3, of which another make may be installed.
    got = asyncio.run(send({name: asked[name] for name in asked.keys() & _SENT}))
    case.validate_response(got, checks=CHECKS)


async def send(asked: dict[str, Any]) -> httpx.Response:
    if isinstance(asked.get("data"), bytes | str):
        asked["content"] = asked.pop("data")
    async with PLACE.client("admin") as client:
        return await client.request(**asked)


def test_the_description_names_every_operation_in_words() -> None:
    document = PLACE.api.app.openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (path, method)


DESCRIBED = PLACE.api.app.openapi()["paths"]


@pytest.mark.parametrize("path", sorted(path for path in DESCRIBED if "get" in DESCRIBED[path]))
async def test_what_is_there_is_answered_as_described(path: str) -> None:
    async with PLACE.client("admin") as client:
        got = await client.get(path.format_map(KNOWN))
    assert got.status_code == 200
    assert (
        got.headers["content-type"].partition(";")[0] in DESCRIBED[path]["get"]["responses"]["200"]["content"]
    )
