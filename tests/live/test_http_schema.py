"""The OpenAPI document: committed as it is made, and every answer is in it, whatever is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support_service import running
from vpg.service.http.api import document_text, operations
from vpg.service.http.auth import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support_service import Running

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "openapi.json"
TOKEN = "schemathesis-test-token"  # noqa: S105 - of this test alone
CASES = 30
CASES_LONG = 1_000
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(json.loads(document_text()))
NAMES = [operation.name for operation in operations()]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tokens = Tokens([("*", TOKEN)])
    with running(tmp_path_factory.mktemp("schema"), tokens=tokens) as one:
        yield one


def test_the_document_is_committed_as_it_is_made() -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        DOCUMENT.write_text(document_text(), encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == document_text()


def test_every_operation_says_what_it_answers() -> None:
    document = json.loads(document_text())
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            responses = said["responses"]
            assert any(status.startswith("2") for status in responses), (path, method)
            assert {"400", "408", "414", "431", "503"} <= set(responses), (path, method)
            assert not any(status.startswith("5") and status != "503" for status in responses)
            secured = "security" in said
            assert secured == ("401" in responses), (path, method)


def exercise(service: Running, name: str, cases: int, schema: Any = SCHEMA) -> None:
    """Ask one operation ``cases`` times with what fits the document, and with what does not."""
    found: list[Any] = [one.ok() for one in schema.get_all_operations()]
    (operation,) = [one for one in found if one.definition.raw["operationId"] == name]
    base = service.url()
    statuses: set[int] = set()

    @seed(5)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: Any) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        try:
            strategy = operation.as_strategy(generation_mode=mode)
            case = data.draw(strategy)
        except schemathesis.errors.InvalidSchema:
            return
        response = case.call(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"})
        statuses.add(response.status_code)
        case.validate_response(response, checks=list(CHECKS))

    ask()
    assert statuses
    assert not {status for status in statuses if status >= 500 and status != 503}


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_is_undocumented(service: Running, name: str) -> None:
    exercise(service, name, CASES)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_no_answer_is_undocumented_however_often(service: Running, name: str) -> None:
    exercise(service, name, CASES_LONG)


def test_an_answer_that_is_not_in_the_document_is_found(service: Running) -> None:
    document = json.loads(document_text())
    del document["paths"]["/v1/hourly"]["get"]["responses"]["422"]
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        exercise(service, "listHourly", CASES, schemathesis.openapi.from_dict(document))


def test_the_service_is_well_after_all_this(service: Running) -> None:
    assert "unexpected" not in service.log.getvalue()
