"""The tape: derivatives with radii of unchanged NumPy code (sweep.py), and what is asked of a recording."""
