"""What payments refuse."""

from __future__ import annotations

from meet2be.errors import Meet2BeError
from meet2be.language import NC_, Message, in_sense

# How the states that errors name are called, and what was to be done in them.
STATES = (
    NC_("refund", "planned"), NC_("refund", "sending"), NC_("refund", "uncertain"),
    NC_("refund", "pending"), NC_("refund", "succeeded"), NC_("refund", "failed"),
    NC_("refund", "cancelled"),
)  # fmt: skip
VERBS = (
    NC_("verb", "decided by a person"), NC_("verb", "looked up"),
    NC_("verb", "tried again"), NC_("verb", "marked as paid"),
    NC_("infinitive", "mark a refund as paid by hand"),
    NC_("infinitive", "settle an uncertain refund"),
)  # fmt: skip


class PaymentsError(Meet2BeError):
    """The root of this domain's errors."""


class ProviderUnavailable(PaymentsError):
    """The provider gave no usable answer to a question (a read; nothing was changed)."""

    def __init__(self, provider: str, call: str, why: str, http_status: int | None = None) -> None:
        """Keep which call it was and what happened."""
        self.provider, self.call, self.why, self.http_status = provider, call, why, http_status
        super().__init__(
            Message(
                "Provider '%(provider)s' gave no answer to '%(call)s': %(why)s. Try again later",
                {"provider": provider, "call": call, "why": why},
            )
        )


class BadProviderSignature(PaymentsError):
    """A message that claims to be the provider's and is not, or cannot be read."""

    def __init__(self, provider: str, why: str) -> None:
        """Keep why; the payload is not repeated."""
        self.provider, self.why = provider, why
        super().__init__(
            f"A message in the name of provider '{provider}' was refused: {why}. "
            "Check that the signing secret is the one of this endpoint"
        )


class UnknownRefund(PaymentsError):
    """No refund of this tenant has that id."""

    def __init__(self, uid: str) -> None:
        """Keep the id."""
        self.uid = uid
        super().__init__(
            Message(
                "There is no refund '%(uid)s' here. Open it from the refund ledger", {"uid": uid}
            )
        )


class RefundNotInState(PaymentsError):
    """Something was asked of a refund that its state does not allow."""

    def __init__(self, uid: str, status: str, wanted: str) -> None:
        """Keep the state and what was asked."""
        self.uid, self.status, self.wanted = uid, status, wanted
        super().__init__(
            Message(
                "Refund '%(uid)s' is '%(status)s', so it cannot be %(wanted)s. Reload the page to"
                " see what has become of it",
                {
                    "uid": uid,
                    "status": in_sense("refund", status),
                    "wanted": in_sense("verb", wanted),
                },
            )
        )


class ReasonMissing(PaymentsError):
    """A person must say why they overrule the ledger."""

    def __init__(self, what: str) -> None:
        """Name what was to be done."""
        self.what = what
        super().__init__(
            Message(
                "To %(what)s a reason is needed: it goes into the audit log",
                {"what": in_sense("infinitive", what)},
            )
        )
