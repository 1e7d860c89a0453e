"""The pages: server-rendered, with htmx where something moves."""

from meet2be.web.app import create_app

__all__ = ["create_app"]
