"""Programs that a bench starts, on either runtime, and listens to."""
