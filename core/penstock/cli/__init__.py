"""The command line, `penstock ...`: one file per noun, and nothing heavy is imported before a command needs it."""

from penstock.cli.app import app as main

__all__ = ["main"]
