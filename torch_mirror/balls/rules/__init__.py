"""Radii, one file a family of functions."""
