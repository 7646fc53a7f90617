"""What ``torch-mirror init`` writes: a starting file that fits another one, which it reads and never runs."""
