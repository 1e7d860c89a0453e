"""Which problem each refusal of a domain is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from meet2be.accounts import members
from meet2be.api_tokens.errors import KeyInUse, KeyOfAnotherRequest, LockLost
from meet2be.cancellations import errors as cancellations
from meet2be.checkout import errors as checkout
from meet2be.checkout.delivery import DeliveryRefused
from meet2be.exports import errors as exports
from meet2be.imports import errors as imports
from meet2be.integrations.guarded_urls import RefusedUrl
from meet2be.integrations.storage import ObjectMissing, StoreFailed
from meet2be.language import Message, said
from meet2be.mailings.decisions import MailIsDecided, ReasonNeeded, UnknownMail
from meet2be.mailings.errors import BadAddress, BodyGone, MailNotFound, MailNotInState
from meet2be.organisations.details import ProfileRefused
from meet2be.payments.errors import PaymentsError, ReasonMissing, UnknownRefund
from meet2be.programme import errors as programme
from meet2be.tenancy.limits import LimitReached
from meet2be.tenancy.services import TenantIsSuspended
from meet2be.web.api.problems import FieldProblem, Problem
from meet2be.webhooks import errors as webhooks
from onqueue.errors import BrokerUnavailable

# The first that fits counts, so the special ones stand before their roots.
REFUSALS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (KeyInUse, "key_in_use"),
    (LockLost, "key_in_use"),
    (KeyOfAnotherRequest, "key_reused"),
    (cancellations.UnknownRun, "not_found"),
    (cancellations.UnknownEvent, "not_found"),
    (cancellations.UnknownItem, "not_found"),
    (cancellations.BadCancelOptions, "invalid"),
    (cancellations.WrongEventName, "invalid"),
    (cancellations.CodeNeeded, "invalid"),
    (cancellations.CodeExpired, "invalid"),
    (cancellations.WrongCode, "invalid"),
    (cancellations.TooManyCodes, "too_many_requests"),
    (cancellations.TenantSuspended, "tenant_suspended"),
    (cancellations.CancellationError, "conflict"),
    (checkout.UnknownOrder, "not_found"),
    (checkout.OrderNotInState, "conflict"),
    (checkout.BadWish, "invalid"),
    (checkout.CheckoutError, "conflict"),
    (UnknownRefund, "not_found"),
    (ReasonMissing, "invalid"),
    (PaymentsError, "conflict"),
    (UnknownMail, "not_found"),
    (MailNotFound, "not_found"),
    (ReasonNeeded, "invalid"),
    (MailIsDecided, "conflict"),
    (MailNotInState, "conflict"),
    (BodyGone, "conflict"),
    (BadAddress, "invalid"),
    (programme.UnknownEntry, "not_found"),
    (programme.EntryRefused, "invalid"),
    (programme.ProgrammeError, "conflict"),
    (DeliveryRefused, "invalid"),
    (ProfileRefused, "invalid"),
    (members.UnknownMember, "not_found"),
    (members.MemberError, "conflict"),
    (TenantIsSuspended, "tenant_suspended"),
    (LimitReached, "conflict"),
    (exports.UnknownExport, "not_found"),
    (exports.BadExport, "invalid"),
    (exports.TooManyExports, "too_many_requests"),
    (exports.ExportError, "conflict"),
    (imports.UnreadableUpload, "invalid"),
    (imports.BadMapping, "invalid"),
    (imports.ImportsError, "conflict"),
    (webhooks.EndpointNotFoundError, "not_found"),
    (webhooks.DeliveryNotFoundError, "not_found"),
    (webhooks.NotNowError, "conflict"),
    (webhooks.WebhookError, "invalid"),
    (RefusedUrl, "invalid"),
    (ObjectMissing, "not_found"),
    (StoreFailed, "unavailable"),
    (BrokerUnavailable, "unavailable"),
)


def problem_from(error: Exception) -> Problem | None:
    """Return the problem that a domain's refusal is; None for what is no refusal."""
    if isinstance(error, Problem):
        return error
    code = next((code for kind, code in REFUSALS if isinstance(error, kind)), None)
    if code is None:
        return None
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, KeyInUse) else {}
    return Problem(code, said(error).rstrip(".") + ".", _fields(error), headers, more=_more(error))


def _fields(error: Exception) -> list[FieldProblem]:
    """Return what is wrong by field, where the domain says so."""
    found: Mapping[str, Message | str] = {}
    if isinstance(error, exports.BadExport):
        found = error.problems
    elif isinstance(error, imports.BadMapping):
        found = {f"mapping/{key}": message for key, message in error.fields.items()}
    elif isinstance(
        error, programme.EntryRefused | DeliveryRefused | ProfileRefused | checkout.BadWish
    ):
        found = {error.field: said(error)}
    elif isinstance(error, cancellations.WrongEventName):
        found = {"event_name": said(error)}
    elif isinstance(error, cancellations.CodeNeeded | cancellations.WrongCode):
        found = {"code": said(error)}
    return [FieldProblem(where=f"/{name}", detail=said(text)) for name, text in found.items()]


def _more(error: Exception) -> dict[str, object]:
    """Return the members that programs may go on with."""
    if isinstance(error, cancellations.CancellationAlreadyRunning):
        return {"cancellation": error.run_uid}
    if isinstance(error, cancellations.PreviewStale):
        return {"differences": [[str(what), *values] for what, *values in error.differences]}
    if isinstance(error, exports.ExportNotPossible):
        return {"reason": error.code}
    return {}
