"""A real mail server that misbehaves on demand, for whoever asks for it."""

from support.sinks import control, running_sink, sink

__all__ = ["control", "running_sink", "sink"]
