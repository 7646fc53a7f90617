"""Certificates, and what check has found, as text, JSON and HTML, and the files that they are written to."""
