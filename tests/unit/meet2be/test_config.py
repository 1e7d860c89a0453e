"""Settings: defaults that work on a desk, and refusals that name everything at once."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from meet2be.config import Settings, SettingsError
from meet2be.config_variables import VARIABLES
from meet2be.settings_reference import reference

ROOT = Path(__file__).resolve().parents[3]
KEY = "k" * 32
PRODUCTION = {
    "MEET2BE_ENV": "production",
    "APP_KEY": KEY,
    "BASE_URL": "https://tickets.example",
    "REDIS_URL": "rediss://broker.example:6379/0",
    "STRIPE_API_KEY": "sk_live_abc",
    "STRIPE_WEBHOOK_SECRET": "whsec_abc",
    "MAIL_FROM": "tickets@example.com",
}


def refused(environ: dict[str, str]) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return caught.value


def test_an_empty_environment_is_a_desk_with_everything_embedded(tmp_path: Path) -> None:
    settings = Settings.from_env({"VAR_DIR": str(tmp_path)})

    assert settings.environment == "development"
    assert settings.database.url == f"sqlite:///{tmp_path}/meet2be.sqlite"
    assert settings.database.owner_url == settings.database.url
    assert settings.database.is_sqlite
    assert settings.broker.embedded
    assert settings.broker.url == f"unix://{tmp_path}/valkey/valkey.sock?db=0"
    assert settings.web.base_url == "http://127.0.0.1:8000"
    assert settings.web.session_idle == timedelta(minutes=30)
    assert settings.provider.api_key is None


def test_var_lies_in_the_checkout_whatever_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"APP_KEY": KEY}).var_dir == ROOT / "var"


def test_production_with_all_it_needs_is_taken() -> None:
    settings = Settings.from_env(PRODUCTION)
    assert settings.is_production
    assert settings.web.is_https
    assert settings.web.trusted_hosts == ("tickets.example",)


@pytest.mark.parametrize("name", sorted(set(PRODUCTION) - {"MEET2BE_ENV"}))
def test_production_refuses_to_start_without(name: str) -> None:
    error = refused({key: value for key, value in PRODUCTION.items() if key != name})
    assert error.problems == (f"{name} is not set. Production needs it.",)


def test_all_problems_are_reported_at_once() -> None:
    error = refused(
        {
            "MEET2BE_ENV": "staging",
            "WEB_PORT": "0",
            "REDIS_URL": "localhost:6379",
            "PROVIDER_TOTAL_TIMEOUT": "nan",
            "SMTP_STARTTLS": "maybe",
        }
    )
    assert [problem.split()[0] for problem in error.problems] == [
        "MEET2BE_ENV", "REDIS_URL", "WEB_PORT", "PROVIDER_TOTAL_TIMEOUT", "SMTP_STARTTLS",
    ]  # fmt: skip
    assert "WEB_PORT is '0'. Allowed: a whole number from 1 to 65535." in error.problems
    assert all(problem in str(error) for problem in error.problems)
    assert "5 settings cannot be used" in str(error)


@pytest.mark.parametrize(
    ("environ", "secret"),
    [
        ({"APP_KEY": "hunter2"}, "hunter2"),
        ({"APP_KEY": KEY, "PREVIOUS_APP_KEYS": f"{KEY},hunter2"}, "hunter2"),
        ({"STRIPE_API_KEY": "pk_hunter2"}, "hunter2"),
        ({"STRIPE_WEBHOOK_SECRET": "hunter2"}, "hunter2"),
        ({"SMTP_PASSWORD": "hunter2"}, "hunter2"),
        ({"DATABASE_URL": "mysql://me:hunter2@db/tickets"}, "hunter2"),
        ({"REDIS_URL": "http://:hunter2@cache"}, "hunter2"),
    ],
)
def test_a_refusal_never_shows_a_secret(environ: dict[str, str], secret: str) -> None:
    error = refused(environ)
    assert secret not in str(error)
    assert "***" in str(error) or "is not set" in str(error)


def test_the_repr_never_shows_a_secret() -> None:
    shown = repr(
        Settings.from_env(
            {
                **PRODUCTION,
                "DATABASE_URL": "postgresql://me:geheim@db/tickets",
                "REDIS_URL": "redis://:geheim@cache",
                "SMTP_USERNAME": "me",
                "SMTP_PASSWORD": "geheim",
                "PREVIOUS_APP_KEYS": "geheim" * 6,
            }
        )
    )
    assert "geheim" not in shown
    assert KEY not in shown
    assert "sk_live_abc" not in shown
    assert "whsec_abc" not in shown


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_reaches_the_driver_in_use(scheme: str) -> None:
    settings = Settings.from_env({"APP_KEY": KEY, "DATABASE_URL": f"{scheme}://me@db/tickets"})
    assert settings.database.url == "postgresql+psycopg://me@db/tickets"
    assert not settings.database.is_sqlite


def test_a_live_key_is_refused_outside_production() -> None:
    error = refused({"APP_KEY": KEY, "STRIPE_API_KEY": "rk_live_abc"})
    assert "moves real money" in error.problems[0]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"SESSION_IDLE_MINUTES": "90", "SESSION_ABSOLUTE_HOURS": "1"}, "SESSION_IDLE_MINUTES"),
        ({"PROVIDER_TOTAL_TIMEOUT": "5"}, "PROVIDER_CONNECT_TIMEOUT"),
        ({"SMTP_USERNAME": "me"}, "SMTP_PASSWORD"),
        ({"SMTP_PASSWORD": "x"}, "SMTP_USERNAME"),
        ({"DATABASE_OWNER_URL": "postgresql://owner@db/tickets"}, "DATABASE_OWNER_URL"),
        ({"MAIL_FROM": "nobody"}, "MAIL_FROM"),
        ({"BASE_URL": "http://tickets.example/shop"}, "BASE_URL"),
        ({"WEB_HOST": "a\x1b[2Jb"}, "WEB_HOST"),
    ],
)
def test_values_that_do_not_go_together_are_refused(environ: dict[str, str], name: str) -> None:
    error = refused({"APP_KEY": KEY, **environ})
    assert len(error.problems) == 1
    assert error.problems[0].startswith(f"{name} is ")


@pytest.mark.parametrize(
    ("name", "value"),
    [("BASE_URL", "http://tickets.example"), ("STRIPE_API_BASE", "http://provider.example")],
)
def test_production_speaks_https_only(name: str, value: str) -> None:
    error = refused({**PRODUCTION, name: value})
    assert len(error.problems) == 1
    assert "https://" in error.problems[0]


def test_an_app_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    var = tmp_path / "var"
    first = Settings.from_env({"VAR_DIR": str(var)}).app_key

    assert len(first) >= 32
    assert Settings.from_env({"VAR_DIR": str(var)}).app_key == first
    assert stat.S_IMODE((var / "app.key").stat().st_mode) == 0o600
    assert [entry.name for entry in var.iterdir()] == ["app.key"]


def test_processes_that_start_together_get_the_same_app_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(Settings.from_env, [{"VAR_DIR": str(tmp_path)}] * 32)
        assert len({settings.app_key for settings in made}) == 1


def test_nothing_is_written_when_the_environment_is_refused(tmp_path: Path) -> None:
    refused({"VAR_DIR": str(tmp_path / "var"), "WEB_PORT": "x"})
    assert not (tmp_path / "var").exists()


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert page == reference(), (
        "write it anew: .venv/bin/python -m meet2be.settings_reference > docs/reference/settings.md"
    )
    assert all(f"| `{variable.name}` |" in page for variable in VARIABLES)


def test_no_two_variables_share_a_name() -> None:
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)


def test_a_folder_that_cannot_be_written_is_a_problem_of_var_dir(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"VAR_DIR is '.*file/var'.*cannot be used: Not a dir"):
        Settings.from_env({"VAR_DIR": str(tmp_path / "file" / "var")})


def test_a_bucket_is_needed_where_files_go_to_s3(tmp_path: Path) -> None:
    assert Settings.from_env({"VAR_DIR": str(tmp_path)}).storage.bucket is None
    settings = Settings.from_env({"VAR_DIR": str(tmp_path), "STORAGE": "S3", "S3_BUCKET": "files"})
    assert settings.storage.bucket == "files"
    assert refused({"STORAGE": "s3"}).problems == ("S3_BUCKET is not set. STORAGE=s3 needs it.",)


@pytest.mark.parametrize("key_id", ["", "ASIAEXAMPLE"])
def test_direct_links_are_refused_where_a_role_would_sign_them(key_id: str) -> None:
    """B21."""
    given = {"STORAGE": "s3", "S3_BUCKET": "files", "S3_DIRECT_LINKS": "yes"}
    keys = {"S3_ACCESS_KEY_ID": key_id, "S3_SECRET_ACCESS_KEY": "secret"} if key_id else {}
    assert "hours later and not 7 days" in refused({**given, **keys}).problems[0]
