"""How fast what a node receives reaches the program, through each face (`make bench`)."""
