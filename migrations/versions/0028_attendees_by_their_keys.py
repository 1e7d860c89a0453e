"""Attendees found by how names, addresses, companies and codes begin, and sorted over indexes.

How keys are made stands here as it was then (`meet2be.attendees.keys` says why): what later
releases make of names is a later step. Stop the processes of earlier ones: they write no keys.
"""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

A_TIME = 2_000
WRITTEN = ("name", "email_norm", "company", "ticket_code")
KEYS = {"name_key": 200, "rest_key": 200, "email_key": 320, "domain_key": 320, "code_key": 64}
MAYBE_KEYS = {"last_key": 200, "company_key": 200}
OF_EVENT = ["tenant_id", "event_id"]
SUMS = "ix_attendees_sums"
INDEXES = {
    "name_key": None, "rest_key": None, "email_key": None, "domain_key": None, "code_key": None,
    "last_key": "last_key IS NOT NULL", "company_key": "company_key IS NOT NULL",
}  # fmt: skip


def text_of(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a key: PostgreSQL finds beginnings where letters stand by their codes."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    for name, length in KEYS.items():
        column = sa.Column(name, text_of(length), nullable=False, server_default="")
        op.add_column("attendees", column)
    for name, length in MAYBE_KEYS.items():
        op.add_column("attendees", sa.Column(name, text_of(length)))
    op.drop_index("ix_attendees_tenant_id_event_id_name_id", "attendees")
    op.drop_index("ix_attendees_tenant_id_event_id_email_norm", "attendees")
    fill(op.get_bind())
    # Made of what is there, an index takes a fraction of what it takes row by row.
    for name, where in INDEXES.items():
        make_index(f"ix_attendees_tenant_id_event_id_{name}_id", [name, "id"], where)
    make_index("ix_attendees_tenant_id_event_id_status_name_key_id", ["status", "name_key", "id"])
    make_index("ix_attendees_refunded", ["name_key", "id"], "refunded_minor > 0")
    make_index(SUMS, ["status", "currency", "price_minor", "refunded_minor"])
    make_index("ix_attendees_no_address", ["name_key", "id"], "email IS NULL")


def make_index(name: str, columns: list[str], where: str | None = None) -> None:
    only = None if where is None else sa.text(where)
    op.create_index(
        name, "attendees", [*OF_EVENT, *columns], sqlite_where=only, postgresql_where=only
    )


def fill(connection: sa.Connection) -> None:
    """Give everybody who is there their keys, some at a time."""
    columns: list[sa.ColumnClause[object]] = [
        sa.column(name) for name in ("id", *WRITTEN, *KEYS, *MAYBE_KEYS)
    ]
    attendees = sa.table("attendees", *columns)
    change = (
        sa.update(attendees)
        .where(attendees.c.id == sa.bindparam("number"))
        .values({name: sa.bindparam(name) for name in (*KEYS, *MAYBE_KEYS)})
    )
    last = 0
    while True:
        rows = connection.execute(
            sa.select(attendees.c.id, *(attendees.c[name] for name in WRITTEN))
            .where(attendees.c.id > last)
            .order_by(attendees.c.id)
            .limit(A_TIME)
        ).all()
        if not rows:
            return
        connection.execute(
            change,
            [{"number": row.id, **keys_of(*row[1:])} for row in rows],
        )
        last = rows[-1].id


def keys_of(
    name: str, email_norm: str | None, company: str | None, ticket_code: str
) -> dict[str, str | None]:
    whole = folded(name)
    rest = whole.partition(" ")[2]
    last = rest.rpartition(" ")[2]
    if last == rest:
        last = rest.rpartition("-")[2]
    email = email_norm or ""
    return {
        "name_key": whole, "rest_key": rest, "last_key": last if last != rest else None,
        "email_key": email, "domain_key": email.rpartition("@")[2],
        "company_key": folded(company or "") or None, "code_key": ticket_code.lower()[:64],
    }  # fmt: skip


def folded(text: str) -> str:
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(text.lower().split())[:200]


def downgrade() -> None:
    for name in ("sums", "no_address", "refunded", "tenant_id_event_id_status_name_key_id"):
        op.drop_index(f"ix_attendees_{name}", "attendees")
    for name in INDEXES:
        op.drop_index(f"ix_attendees_tenant_id_event_id_{name}_id", "attendees")
    for name in (*KEYS, *MAYBE_KEYS):
        op.drop_column("attendees", name)
    make_index("ix_attendees_tenant_id_event_id_name_id", ["name", "id"])
    make_index("ix_attendees_tenant_id_event_id_email_norm", ["email_norm"])
