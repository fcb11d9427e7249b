"""Deciding: what a policy says of an evaluation. A pure function, replayed from the record it left."""

from penstock.services.deciding.decide import decide, decision_inputs, replay

__all__ = ["decide", "decision_inputs", "replay"]
