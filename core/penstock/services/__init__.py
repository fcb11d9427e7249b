"""What may happen: every rule of the domain, over the ports, with the standard library only."""
