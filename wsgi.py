"""The web application, for a WSGI server: ``gunicorn wsgi:app``."""

import sys

from meet2be.bootstrap import bootstrap, check_database
from meet2be.config import Settings
from meet2be.errors import Meet2BeError
from meet2be.telemetry import log_to_standard_output
from meet2be.web import create_app
from onqueue.errors import OnQueueError

try:
    settings = Settings.from_env()
    log_to_standard_output(settings.log_level)
    services = bootstrap(settings)
    check_database(services)
except (Meet2BeError, OnQueueError) as error:
    # One sentence is what whoever starts the server can act on. gunicorn takes the code 3 for
    # "cannot be started", and any other for a worker to start anew.
    sys.stderr.write(f"{error}\n")
    sys.exit(3)
app = create_app(services)
