"""Things of the domains as programs see them: the API gives them, webhooks may bear them whole."""
