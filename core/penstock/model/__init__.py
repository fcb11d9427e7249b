"""What things are: frozen values of the domain, standard library only."""
