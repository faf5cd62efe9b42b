"""Logs, traces, request ids and metrics: the only hand-written code that both services import."""
