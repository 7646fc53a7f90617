"""What is held up to what: one file a check."""
