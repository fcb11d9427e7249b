"""Rows without a model: their cells as words, digests, profiles, and samples of them to compare data sets by."""
