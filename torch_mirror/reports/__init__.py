"""Certificates as text and as JSON, and the files that they are written to."""
