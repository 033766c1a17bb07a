"""Write every generated kernel into mpcore/crypto."""

import pathlib

from host_tools.kernels import field, poly, salsa

GENERATED = {
    "salsa_kernel.py": salsa.source,
    "poly_kernel.py": poly.source,
    "field_kernel.py": field.source,
}
TARGET = pathlib.Path(__file__).parents[2] / "mpcore" / "crypto"

if __name__ == "__main__":
    for name, source in GENERATED.items():
        (TARGET / name).write_text(source())
