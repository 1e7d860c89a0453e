"""Writes docs/reference/roles.md from the permissions of the roles themselves."""

import sys
from typing import Final

from meet2be.tenancy.models import ROLES
from meet2be.web.security import ADMINISTER, CANCEL, PREVIEW, READ, ROLE_PERMISSIONS, WORK

_HEAD: Final = """\
# Roles

A person has one role in each organisation they work for. Nobody gives a role above their own, and
the last owner stays. What a role does not allow answers 403; what belongs to another organisation
does not exist (404). This page is made from `meet2be.web.security`:

    .venv/bin/python -m meet2be.web.roles_reference > docs/reference/roles.md

"""
_TAIL: Final = """
Operators of the platform hold all of these in every organisation, see the list of all
organisations, suspend them and give them limits. They stand in the audit log as operators.

While an organisation is suspended, its people may look at everything; whatever changes something is
refused (409), except their own account and marking notices as read.
"""
WHAT: Final = {
    READ: "look at events and their figures, attendees, orders, cancellations, refunds, mails and "
    "one's own notices",
    PREVIEW: "make the preview of a cancellation",
    WORK: "export, import, change events, tickets and orders, count an event's figures anew, "
    "withdraw and resend mails",
    CANCEL: "cancel an event, decide about refunds and uncertain mails, read the audit log",
    ADMINISTER: "settings, members, sender, templates, suppressions, webhooks, API tokens",
}


def reference() -> str:
    """Return the page in Markdown."""
    head = f"| Permission | What it allows | {' | '.join(ROLES)} |\n"
    rule = f"| --- | --- |{' --- |' * len(ROLES)}\n"
    return _HEAD + head + rule + "".join(map(_row, WHAT)) + _TAIL


def _row(permission: str) -> str:
    cells = ["yes" if permission in ROLE_PERMISSIONS[role] else "–" for role in ROLES]
    return f"| {permission} | {WHAT[permission]} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
