"""Runs in several processes, and what was judged before."""
