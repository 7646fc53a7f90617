"""The ways in: check, verify, certify, the command, hypothesis strategies."""
