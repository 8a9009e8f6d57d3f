"""The run rules, as a table."""

import pytest

from flowbuilder.core.policies import RetryPolicy, next_delay
from flowbuilder.core.rules import (
    CANCELLED,
    CONTINUED,
    FAILED,
    READY,
    SKIPPED,
    SUCCEEDED,
    UPSTREAM_FAILED,
    decide,
)


@pytest.mark.parametrize(
    ("rule", "needs", "expected"),
    [
        ("default", [], READY),
        ("default", [SUCCEEDED, SKIPPED], READY),
        ("default", [SKIPPED, SKIPPED], SKIPPED),
        ("default", [SUCCEEDED, FAILED], UPSTREAM_FAILED),
        ("default", [UPSTREAM_FAILED], UPSTREAM_FAILED),
        ("default", [CONTINUED], READY),
        ("default", [CANCELLED], UPSTREAM_FAILED),
        ("all_success", [SUCCEEDED, SUCCEEDED], READY),
        ("all_success", [SUCCEEDED, SKIPPED], SKIPPED),
        ("all_success", [SUCCEEDED, CONTINUED], SKIPPED),
        ("all_success", [FAILED, SUCCEEDED], UPSTREAM_FAILED),
        ("none_failed", [SKIPPED], READY),
        ("none_failed", [CONTINUED], READY),
        ("none_failed", [UPSTREAM_FAILED], UPSTREAM_FAILED),
        ("any_success", [FAILED, SUCCEEDED], READY),
        ("any_success", [FAILED, SKIPPED], UPSTREAM_FAILED),
        ("any_success", [SKIPPED], SKIPPED),
        ("any_failed", [SUCCEEDED, UPSTREAM_FAILED], READY),
        ("any_failed", [CONTINUED], READY),
        ("any_failed", [SUCCEEDED, SKIPPED], SKIPPED),
        ("all_done", [FAILED, SKIPPED], READY),
        ("always", [UPSTREAM_FAILED], READY),
    ],
)
def test_a_rule_decides(rule: str, needs: list[int], expected: int) -> None:
    assert decide(rule, needs) == expected


@pytest.mark.parametrize(
    ("policy", "attempt", "draw", "delay"),
    [
        (RetryPolicy(delay=2, backoff="constant", jitter="none"), 9, 0.3, 2),
        (RetryPolicy(delay=2, backoff="linear", jitter="none"), 3, 0.3, 6),
        (RetryPolicy(delay=1, factor=3, jitter="none"), 3, 0.3, 9),
        (RetryPolicy(delay=1, max_delay=5, jitter="none"), 5000, 0.3, 5),
        (RetryPolicy(delay=8, backoff="constant", jitter="full"), 1, 0.25, 2),
        (RetryPolicy(delay=8, backoff="constant", jitter="equal"), 1, 0.5, 6),
    ],
)
def test_the_wait_before_another_attempt(
    policy: RetryPolicy, attempt: int, draw: float, delay: float
) -> None:
    assert next_delay(policy, attempt, draw) == delay
