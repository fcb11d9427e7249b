"""Records in this process's memory: the oracle that the other stores are compared with."""
