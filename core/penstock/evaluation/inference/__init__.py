"""What bounds measured numbers: bootstrap replicates, and evidence made of what was counted."""
