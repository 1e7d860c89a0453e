import pytest
import stripe

from simulators.clock import SimulatedClock
from simulators.provider.webhooks import signature

BODY = '{"id": "evt_1", "object": "event", "type": "refund.created", "data": {"object": {}}}'


def test_a_signature_is_the_one_that_the_library_expects() -> None:
    header = signature("whsec_1", BODY, int(SimulatedClock().wall()))
    assert stripe.Webhook.construct_event(BODY, header, "whsec_1").id == "evt_1"


def test_a_signature_with_another_secret_is_refused_by_the_library() -> None:
    header = signature("whsec_1", BODY, int(SimulatedClock().wall()))
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(BODY, header, "whsec_2")
