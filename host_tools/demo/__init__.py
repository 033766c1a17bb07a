"""The demonstration: a game, a light bulb, and the virtual network between them."""
