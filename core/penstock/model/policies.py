"""Gate policies: what must hold before a model may be let in. Data with a digest, validated here, once."""
