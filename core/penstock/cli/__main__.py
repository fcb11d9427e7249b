"""`python -m penstock.cli`, where the `penstock` script is not on the path."""

from penstock.cli import main

main(prog_name="penstock")
