"""Checking a store against itself: the ledger, what it says of the present, and every byte that a record refers to."""

from penstock.services.verification.finding import Finding
from penstock.services.verification.verify import anchor, verify

__all__ = ["Finding", "anchor", "verify"]
