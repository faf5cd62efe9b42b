"""How fast the services are, as ratios to what the same cores do without them."""
