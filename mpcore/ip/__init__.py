"""Floor 4: a small TCP/IP stack over any Ethernet; knows nothing of ZeroTier."""
