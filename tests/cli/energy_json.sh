# SPDX-License-Identifier: MIT
# Keys, their order and values of --json; the numbers are the reference's in float64 (make_expected.py).
cd "$MOLECULES" || exit 1
exec "$AIMNET" energy --json --forces --charges --dipole --quadrupole --terms water.xyz ammonium.xyz acetate.xyz caffeine.xyz
