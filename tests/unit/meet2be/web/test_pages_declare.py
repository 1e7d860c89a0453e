"""A page that says nothing about who may see it does not start."""

import pytest
from flask import Flask

from meet2be.web import security


def test_an_application_with_an_undeclared_page_does_not_start() -> None:
    app = Flask("undeclared")
    app.add_url_rule("/open", "open.door", lambda: "hello")
    with pytest.raises(security.UndeclaredPermissionError, match=r"open\.door"):
        security.install(app)


def test_no_role_below_an_admin_may_cancel() -> None:
    allowed = {role for role, held in security.ROLE_PERMISSIONS.items() if security.CANCEL in held}
    assert allowed == {"admin", "owner"}
