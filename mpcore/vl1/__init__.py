"""Floor 2, VL1: identities, packets, peers, paths, worlds, relaying."""
