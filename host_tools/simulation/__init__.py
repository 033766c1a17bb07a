"""Networks in virtual time: nodes on a simulated Internet (wire.py, lan.py), and two stacks at the
ends of a spoiled path (path.py)."""
