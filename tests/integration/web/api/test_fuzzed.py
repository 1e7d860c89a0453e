"""Schemathesis over the whole API, through WSGI: no 500, and every answer as it is described.

Half of the names in addresses are of things that are there, so that requests get beyond 404.
"""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.api import Program, program
from support.api_things import api_things
from support.stage import Stage

IN_A_RUN, IN_CHAOS = 2_000, 20_000
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest.fixture
def begun(stage: Stage) -> Stage:
    """A cancellation half done, and a thing of each kind."""
    stage.conference.confirm()
    stage.conference.work(0, chunks=1)
    return stage


def fuzz(stage: Stage, total: int, part: slice) -> Counter[int]:
    """Send at least so many requests of some operations; return how they were answered."""
    admin, things = program(stage.web, stage.conference.tenant), api_things(stage)
    somewhere = st.sampled_from([*things.values(), "0" * 26])
    schemathesis.openapi.format("uid", somewhere)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", stage.web.app)
    found: list[Any] = list(schema.get_all_operations())
    operations = [each.ok() for each in found][part]
    answered: Counter[int] = Counter()
    for operation in operations:
        answered += send(admin, things, operation, -(-total // len(operations)))
    return answered


def send(admin: Program, things: dict[str, str], operation: Any, examples: int) -> Counter[int]:
    """Send requests of one operation; the same ones in each run."""
    answered: Counter[int] = Counter()
    names = [each.name for each in operation.path_parameters]
    header = {"Authorization": f"Bearer {admin.token}"}

    @seed(20261122)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def run(case: Any, is_there: bool) -> None:
        if is_there:
            case.path_parameters = {name: things[name] for name in names}
        response = case.call(headers=header)
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    run()
    if answered.total() < examples and not operation.query and not operation.body:
        # Without anything to vary there are only so many different requests: repeat them.
        for _ in range(examples - answered.total()):
            case = operation.Case(path_parameters={name: things[name] for name in names})
            answered[case.call_and_validate(headers=header, checks=CHECKS).status_code] += 1
    return answered


def check(answered: Counter[int], least: int) -> None:
    assert answered.total() >= least, answered
    assert not [status for status in answered if status >= 500], answered
    assert {200, 404} <= set(answered), answered


# Two tests, so that two processes share the work.
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", [slice(0, None, 2), slice(1, None, 2)], ids=["even", "odd"])
def test_a_thousand_odd_requests_get_the_answers_that_are_described(
    begun: Stage, part: slice
) -> None:
    check(fuzz(begun, IN_A_RUN // 2, part), IN_A_RUN // 2)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_twenty_thousand_odd_requests(begun: Stage) -> None:
    check(fuzz(begun, IN_CHAOS, slice(None)), IN_CHAOS)
