"""The store's records, a file for each noun of the port."""
