"""Numbers with radii, on which NumPy code runs unchanged. They know nothing of training."""
