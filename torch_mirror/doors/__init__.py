"""The ways in: verify, certify, the command, hypothesis strategies."""
