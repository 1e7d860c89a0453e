"""Normal forms of addresses anew: letters became others', such as "ss" for "ß", and do no more.

`mailings.addresses.normal_form` says why. No two get the same form by this, as what is made
different was the same before. A suppression keeps no address as it was written: it gets that of
the mail which it came from, and one that nobody can tell stays as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

WRITTEN = (
    ("users", "email", "email_norm"),
    ("invitations", "email", "email_norm"),
    ("sign_ups", "email", "email_norm"),
    ("attendees", "email", "email_norm"),
    ("orders", "buyer_email", "buyer_email_norm"),
    ("mails", "to_addr", "to_norm"),
)
_AROUND = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff\u202f\u3000"
A_TIME = 1_000


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT set_config('app.system', 'migration', true)"))
    for table, written, norm in WRITTEN:
        rewrite(connection, table, written, norm)
    of_suppressions(connection)


def rewrite(connection: sa.Connection, name: str, written: str, norm: str) -> None:
    table = sa.table(name, sa.column("id"), sa.column(written), sa.column(norm))
    address = table.c[written]
    last = 0
    while True:
        rows = connection.execute(
            sa.select(table.c.id, address, table.c[norm])
            .where(table.c.id > last, is_foreign(connection, address))
            .order_by(table.c.id)
            .limit(A_TIME)
        ).all()
        for number, email, present in rows:
            last = number
            wanted = email.strip(_AROUND).lower()
            if present is not None and present == email.strip(_AROUND).casefold() != wanted:
                put(connection, sa.update(table).where(table.c.id == number).values({norm: wanted}))
        if len(rows) < A_TIME:
            return


def is_foreign(connection: sa.Connection, address: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that an address has letters outside ASCII."""
    if connection.dialect.name == "postgresql":
        return address.op("~")("[^\\x01-\\x7f]")
    return address.op("GLOB")("*[^\x01-\x7f]*")


def of_suppressions(connection: sa.Connection) -> None:
    listed = sa.table(
        "mail_suppressions", sa.column("id"), sa.column("email_norm"), sa.column("source_mail_id")
    )
    mails = sa.table("mails", sa.column("id"), sa.column("to_norm"))
    rows = connection.execute(
        sa.select(listed.c.id, listed.c.email_norm, mails.c.to_norm)
        .join_from(listed, mails, mails.c.id == listed.c.source_mail_id)
        .where(mails.c.to_norm != listed.c.email_norm)
    ).all()
    for number, present, wanted in rows:
        if wanted.casefold() == present:
            changed = sa.update(listed).where(listed.c.id == number)
            put(connection, changed.values(email_norm=wanted))


def put(connection: sa.Connection, change: sa.Update) -> None:
    """Make a change; what somebody else has by now, who came after the form was another, stays."""
    try:
        with connection.begin_nested():
            connection.execute(change)
    except sa.exc.IntegrityError:
        return


def downgrade() -> None:
    """Leave them: an older release finds those it folds together by what is written."""
