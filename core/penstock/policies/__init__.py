"""Where policies come from: files that are read strictly, and plain data. What they mean is `penstock.model`'s."""
