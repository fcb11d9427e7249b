"""The measuring engine: reads rows in batches, asks the models, counts, and draws what was found."""
