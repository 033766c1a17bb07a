"""The files for boards, `make boards`: what belongs together (sets.py), is loaded together
(chunks.py) and made one (bundles.py), compiled (compiling.py, mpy.py), listed
for mip and for freezing (listings.py), as a ROMFS image (romfs.py), and how large (sizes.py)."""
