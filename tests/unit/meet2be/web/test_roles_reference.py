from meet2be.web.roles_reference import WHAT, reference
from meet2be.web.security import ROLE_PERMISSIONS
from support.pages import REFERENCE


def test_the_page_of_roles_says_what_the_roles_may() -> None:
    assert (REFERENCE / "roles.md").read_text("utf-8") == reference(), (
        "write it anew: .venv/bin/python -m meet2be.web.roles_reference > docs/reference/roles.md"
    )


def test_the_page_names_every_permission() -> None:
    assert set(WHAT) == set().union(*ROLE_PERMISSIONS.values())
