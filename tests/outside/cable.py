"""What both ends of the station's cable agree upon. The names are those of local sockets, which
belong to a network namespace and are no files."""

FRAMES = b"\0frames"
ORDERS = b"\0orders"
SO_FAR = b"?"               # "give me all that has come until now", and "that was it"
