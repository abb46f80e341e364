# SPDX-License-Identifier: MIT
# The same in double precision: closer to the reference.
cd "$MOLECULES" || exit 1
exec "$AIMNET" energy --precision double --json --forces --charges --dipole --quadrupole --terms water.xyz ammonium.xyz acetate.xyz caffeine.xyz
