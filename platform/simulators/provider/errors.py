"""Stripe's error answers: HTTP status, type, code, message and the parameter at fault."""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """An answer other than 200, in the shape of Stripe's `error` object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
    ) -> None:
        """Describe the answer; `kind` is what Stripe calls `type`."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.decline_code = decline_code

    def body(self) -> dict[str, Any]:
        """Return the JSON body; `code` and `param` are left out where there is none."""
        error: dict[str, Any] = {"type": self.kind, "message": str(self)}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.decline_code is not None:
            error["decline_code"] = self.decline_code
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}


def missing(what: str, identifier: str, param: str) -> StripeError:
    """Return the 404 for an object that this account does not have."""
    return StripeError(
        f"No such {what}: '{identifier}'", status=404, code="resource_missing", param=param
    )


def outage(status: int) -> StripeError:
    """Return a server-side failure, 500 to 599."""
    return StripeError(
        f"The simulated provider was told to answer {status}.", status=status, kind="api_error"
    )


class ConnectionCut(Exception):
    """The connection is to be cut without an answer."""
