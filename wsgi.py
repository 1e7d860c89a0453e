"""The web application, for a WSGI server: ``gunicorn wsgi:app``."""

from meet2be.bootstrap import bootstrap
from meet2be.config import Settings
from meet2be.web import create_app

app = create_app(bootstrap(Settings.from_env()))
