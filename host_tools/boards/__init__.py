"""The files for boards, `make boards`: what belongs together (sets.py), compiled (mpy.py), listed
for mip and for freezing (listings.py), as a ROMFS image (romfs.py), and how large (sizes.py)."""
