"""Carrying events to webhooks over HTTP."""
