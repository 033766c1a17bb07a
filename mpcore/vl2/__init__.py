"""Floor 3, VL2: networks, configs, credentials, multicast, rules."""
