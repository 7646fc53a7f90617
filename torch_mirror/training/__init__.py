"""The torch producers of traces."""
