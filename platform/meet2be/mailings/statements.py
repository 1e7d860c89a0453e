"""The statements of mail delivery, each written once and compiled once.

They run on a plain connection, past the mapped classes, so each names the tenant itself (None: the
platform's own mail).
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import (
    Table,
    and_,
    bindparam,
    case,
    column,
    func,
    insert,
    or_,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from meet2be.db.hints import unindexed
from meet2be.db.prepared import Prepared
from meet2be.mailings.models import EmailLog, Mail, MailSuppression
from meet2be.tenancy.models import Membership

MAILS = cast("Table", Mail.__table__)
LOG = cast("Table", EmailLog.__table__)
SUPPRESSIONS = cast("Table", MailSuppression.__table__)

_mail = MAILS.c
_own = unindexed(_mail.tenant_id).is_not_distinct_from(bindparam("tenant"))

READ_MAILS = (
    select(
        _mail.id, _mail.uid, _mail.tenant_id, _mail.user_id, _mail.kind, _mail.status,
        _mail.to_addr, _mail.to_norm, _mail.from_addr, _mail.reply_to, _mail.subject,
        _mail.body_text, _mail.body_html, _mail.headers, _mail.message_id, _mail.attempts,
        _mail.lease_token, _mail.lease_until, _mail.related_type, _mail.related_id, _mail.delivery,
        _mail.attachments,
    )
    .where(_mail.id.in_(bindparam("mails", expanding=True)), _own)
    .order_by(_mail.priority, _mail.id)
)  # fmt: skip

# Once for each cause: of a second mail under the same key nothing is written.
INSERT_UNSEEN = {
    name: dialect.insert(MAILS)
    .on_conflict_do_nothing(index_elements=[_mail.dedupe_key])
    .returning(_mail.id, _mail.dedupe_key, _mail.status)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}

# Addresses that get no mail of this tenant, or of nobody on the platform.
SUPPRESSED = select(SUPPRESSIONS.c.email_norm).where(
    SUPPRESSIONS.c.email_norm.in_(bindparam("addresses", expanding=True)),
    SUPPRESSIONS.c.scope == "all",
    or_(SUPPRESSIONS.c.tenant_id.is_(None), SUPPRESSIONS.c.tenant_id == bindparam("tenant")),
    or_(SUPPRESSIONS.c.expires_at.is_(None), SUPPRESSIONS.c.expires_at > bindparam("now")),
)

# Addresses that get no news of this tenant, but do get what they ordered.
UNSUBSCRIBED = select(SUPPRESSIONS.c.email_norm).where(
    SUPPRESSIONS.c.email_norm.in_(bindparam("addresses", expanding=True)),
    SUPPRESSIONS.c.scope == "non_transactional",
    or_(SUPPRESSIONS.c.tenant_id.is_(None), SUPPRESSIONS.c.tenant_id == bindparam("tenant")),
    or_(SUPPRESSIONS.c.expires_at.is_(None), SUPPRESSIONS.c.expires_at > bindparam("now")),
)

# By name: who keeps the people (meet2be.accounts) writes mails, too.
PEOPLE = table("users", column("id"), column("email_norm"), column("status"))
MEMBERS = cast("Table", Membership.__table__)
MEMBERS_AMONG = (
    select(PEOPLE.c.email_norm)
    .join(MEMBERS, MEMBERS.c.user_id == PEOPLE.c.id)
    .where(
        MEMBERS.c.tenant_id == bindparam("tenant"),
        PEOPLE.c.email_norm.in_(bindparam("addresses", expanding=True)),
    )
)

ERASED_AMONG = select(PEOPLE.c.id).where(
    PEOPLE.c.id.in_(bindparam("people", expanding=True)), PEOPLE.c.status == "erased"
)

CLAIM_MAIL = Prepared(
    update(MAILS)
    .where(_mail.id == bindparam("mail"), _own, _mail.status == "queued")
    .values(
        status="sending",
        lease_token=bindparam("token"),
        lease_until=bindparam("until"),
        attempts=_mail.attempts + 1,
        updated_at=bindparam("now"),
    )
)

SETTLE_MAIL = Prepared(
    update(MAILS)
    .where(
        _mail.id == bindparam("mail"),
        _mail.tenant_id.is_not_distinct_from(bindparam("mail_tenant")),
        # What left has left, whoever tells it; all else is told by those whose turn it still is.
        or_(
            bindparam("new_status") == "sent",
            and_(
                _mail.status == bindparam("was"),
                _mail.lease_token.is_not_distinct_from(bindparam("holder")),
            ),
        ),
    )
    .values(
        # A provider's news may be faster than our own record of what it took.
        status=case(
            (
                and_(
                    bindparam("new_status") == "sent",
                    or_(_mail.status == "bounced", _mail.status == "complained"),
                ),
                _mail.status,
            ),
            else_=bindparam("new_status"),
        ),
        transport=func.coalesce(bindparam("transport"), _mail.transport),
        provider_id=func.coalesce(bindparam("provider_id"), _mail.provider_id),
        last_error=bindparam("error"),
        sent_at=func.coalesce(bindparam("sent"), _mail.sent_at),
        lease_token=None,
        lease_until=None,
        updated_at=bindparam("now"),
    )
)

_next_entry = (
    select(func.coalesce(func.max(LOG.c.n), 0) + 1)
    .where(LOG.c.mail_id == bindparam("mail"))
    .scalar_subquery()
)
LOG_ATTEMPT = Prepared(
    insert(LOG).values(
        mail_id=bindparam("mail"),
        tenant_id=bindparam("mail_tenant"),
        user_id=bindparam("user"),
        to_norm=bindparam("to"),
        n=_next_entry,
        at=bindparam("now"),
        outcome=bindparam("logged"),
        code=bindparam("code"),
        detail=bindparam("detail"),
        transport=bindparam("transport"),
    )
)


def _put_suppression(insert: Any, *, is_platforms: bool) -> Any:
    """Return what writes an entry, unless one is there that lasts as long."""
    known, new = SUPPRESSIONS.c, insert.excluded
    key = [known.email_norm, known.scope]
    changed = ("reason", "source_mail_id", "expires_at", "note", "updated_at")
    return insert.on_conflict_do_update(
        index_elements=key if is_platforms else [known.tenant_id, *key],
        index_where=text(f"tenant_id IS {'' if is_platforms else 'NOT '}NULL"),
        set_={name: new[name] for name in changed},
        where=and_(
            known.expires_at.is_not(None),
            or_(new.expires_at.is_(None), new.expires_at > known.expires_at),
        ),
    ).returning(known.id)


# By the database's name, and whether the entry is the platform's own.
PUT_SUPPRESSION = {
    (name, is_platforms): _put_suppression(dialect.insert(SUPPRESSIONS), is_platforms=is_platforms)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
    for is_platforms in (True, False)
}
