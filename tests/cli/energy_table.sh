# SPDX-License-Identifier: MIT
# The table of a single run; the last digits are not compared.
cd "$MOLECULES" || exit 1
"$AIMNET" energy water.xyz ammonium.xyz caffeine.xyz taxol.xyz
