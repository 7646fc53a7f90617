"""Training runs as named tensors stacked over steps, and the NumPy producer of them."""
