"""check: is a hand-written gradient the derivative of its own loss? Without torch, eps or tolerance."""
