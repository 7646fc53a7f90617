"""The judge: NumPy only. It reads traces, and never imports torch."""
