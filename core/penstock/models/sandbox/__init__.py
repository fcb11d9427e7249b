"""Models in a process of their own: what one of them does to its process, it does not do to ours."""
