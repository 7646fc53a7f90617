"""selftest: would a fault be found in this network? Faults are planted in it, one at a time, and judged."""
