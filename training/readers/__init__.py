"""Readers of labelled sets, one module for each form that they are published in."""
