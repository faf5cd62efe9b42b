"""Logs, request ids and metric exposition: the only hand-written code that both services import."""
