"""The web application, for a WSGI server: ``gunicorn wsgi:app``."""

from meet2be.bootstrap import bootstrap, check_database
from meet2be.config import Settings
from meet2be.telemetry import log_to_standard_output
from meet2be.web import create_app

settings = Settings.from_env()
log_to_standard_output(settings.log_level)
services = bootstrap(settings)
check_database(services)
app = create_app(services)
