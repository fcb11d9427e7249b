"""Where bytes live: content-addressed by SHA-256 and verified on every read."""
