# SPDX-License-Identifier: MIT
# Blocks with everything a closed-shell molecule has.
cd "$MOLECULES" || exit 1
"$AIMNET" energy --forces --charges --dipole --quadrupole --terms water.xyz
