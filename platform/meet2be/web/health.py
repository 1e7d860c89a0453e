"""Whether the platform is able to work: for load balancers and for ``make up``."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from meet2be.web.security import public, services
from onqueue.errors import OnQueueError, UnsupportedByDriver
from onqueue.monitor import inspection_of

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@public
def health() -> ResponseReturnValue:
    """Say for each part whether it answers and takes what is new; 503 when one does not."""
    parts = {"database": _database_answers(), "broker": _broker_answers()}
    return jsonify(parts), 200 if all(parts.values()) else 503


def _database_answers() -> bool:
    try:
        with services().database.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def _broker_answers() -> bool:
    try:
        queue = services().queues.connection(services().queues.default)
        return not inspection_of(queue, "the page of health").danger()
    except UnsupportedByDriver:  # such a driver has no server
        return True
    except OnQueueError:
        return False
