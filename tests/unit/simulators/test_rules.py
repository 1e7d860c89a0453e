import pytest

from simulators.provider.behaviour import KINDS, REFUND_CREATE, Behaviour
from simulators.rules import Rule, RuleBook, RuleError


def test_a_rule_with_times_is_used_up() -> None:
    book = RuleBook([Rule("refuse", times=2)])
    drawn = [book.draw("refuse", "refund.create", "pi_1") for _ in range(3)]
    assert [rule is not None for rule in drawn] == [True, True, False]
    assert book.changed


def test_a_rule_strikes_only_its_subject_and_call() -> None:
    book = RuleBook([Rule("refuse", call="refund.*", subject="pi_7*")])
    assert book.draw("refuse", "refund.create", "pi_71") is not None
    assert book.draw("refuse", "refund.create", "pi_1") is None
    assert book.draw("refuse", "balance.retrieve", "pi_71") is None


def test_the_same_seed_strikes_the_same_payments_in_whatever_order_they_come() -> None:
    subjects = [f"pi_{number}" for number in range(400)]

    def struck(order: list[str], seed: int) -> set[str]:
        book = RuleBook([Rule("refuse", probability=0.25)], seed)
        return {subject for subject in order if book.draw("refuse", "refund.create", subject)}

    first = struck(subjects, 7)
    assert first == struck(subjects[::-1], 7)
    assert first != struck(subjects, 8)
    assert 60 < len(first) < 140


def test_an_unknown_kind_or_option_is_refused_with_what_is_known() -> None:
    with pytest.raises(RuleError, match="must be one of: decline, error_after"):
        Rule.from_json({"kind": "explode"}, KINDS, REFUND_CREATE)
    with pytest.raises(RuleError, match=r"Rule 'pending' has no option 'until'.*settle_after"):
        Rule.from_json({"kind": "pending", "until": 3}, KINDS, REFUND_CREATE)


def test_switches_survive_being_written_and_read() -> None:
    behaviour = Behaviour().changed_by(
        {
            "latency_ms": 200,
            "funds": "pending",
            "webhooks": {"copies": 2, "early": True},
            "seed": 5,
            "rules": [{"kind": "error_after", "status": 502, "times": 3}],
        }
    )
    assert Behaviour().changed_by(behaviour.to_json()).to_json() == behaviour.to_json()


@pytest.mark.parametrize(
    "change", [{"latency": 1}, {"funds": "none"}, {"webhooks": {"late": 1}}], ids=str
)
def test_an_unknown_switch_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RuleError, match="Unknown"):
        Behaviour().changed_by(change)
