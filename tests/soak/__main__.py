"""Simulations by name, with their figures printed: `python -m tests.soak coverage`."""

from __future__ import annotations

import sys

from tests.soak import coverage, coverage_of_plans, coverage_of_tails

SIMULATIONS = {"coverage": coverage.main, "plans": coverage_of_plans.main, "tails": coverage_of_tails.main}

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in SIMULATIONS:
        sys.exit(f"usage: python -m tests.soak {{{','.join(SIMULATIONS)}}} [numbers …]")
    SIMULATIONS[name](sys.argv[2:])
