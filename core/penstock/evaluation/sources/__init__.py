"""Where rows come from: frames and batches in memory, files and folders here or on S3, queries."""

from penstock.evaluation.sources.opening import opened
from penstock.evaluation.sources.source import Source

__all__ = ["Source", "opened"]
