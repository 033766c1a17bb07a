"""Roles that a node may play beside being a member; loaded only where it plays them."""
