"""Every table of the platform, imported once: what migrations and `configure_mappers` need."""

from __future__ import annotations

import importlib

from sqlalchemy import MetaData

from meet2be.db.base import Base

MODEL_MODULES = (
    "meet2be.tenancy.models",
    "meet2be.accounts.models",
    "meet2be.events.models",
    "meet2be.orders.models",
    "meet2be.invoices.models",
    "meet2be.payments.models",
    "meet2be.attendees.models",
    "meet2be.cancellations.models",
    "meet2be.exports.models",
    "meet2be.imports.models",
    "meet2be.mailings.models",
    "meet2be.notifications.models",
    "meet2be.alerts.models",
    "meet2be.audit.models",
    "meet2be.webhooks.models",
    "meet2be.figures.models",
    "meet2be.api_tokens.models",
)


def load_models() -> MetaData:
    """Return the metadata with every table in it.

    By name, since the domains lie above this module and import it.
    """
    for module in MODEL_MODULES:
        importlib.import_module(module)
    return Base.metadata
