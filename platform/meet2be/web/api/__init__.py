"""The REST API: the verbs of the pages for programs that show a token."""
