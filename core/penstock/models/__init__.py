"""Packaging: models as folders in the MLmodel layout, saved and loaded without running code found in them."""
