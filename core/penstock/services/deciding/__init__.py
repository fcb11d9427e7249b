"""Deciding: what a policy says of an evaluation. A pure function, replayed from the record it left."""

from penstock.services.deciding.budgets import reserved_alpha
from penstock.services.deciding.decide import decide, decision_inputs, replay
from penstock.services.deciding.flips import Flip, flip_of, nearest_flip

__all__ = ["Flip", "decide", "decision_inputs", "flip_of", "nearest_flip", "replay", "reserved_alpha"]
