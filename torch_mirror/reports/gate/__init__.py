"""The gate: what a run gave before (a baseline, as text), what it gives now, and what has changed, in words."""
