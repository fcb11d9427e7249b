"""What may be concluded from numbers measured on a sample: pure functions, standard library only."""
