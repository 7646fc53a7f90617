"""What a user brings: parameters, a network, an experiment; each part validates itself."""
