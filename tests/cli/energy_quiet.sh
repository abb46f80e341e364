# SPDX-License-Identifier: MIT
# --quiet: no warnings; errors stay. A warning that many structures share is printed once, and stands in every JSON object.
for i in 1 2 3; do cat "$DATA/radical.xyz"; done >three.xyz
"$AIMNET" energy three.xyz 2>&1 >/dev/null | grep -c warning
"$AIMNET" energy -q three.xyz 2>&1 >/dev/null | grep -c warning
"$AIMNET" energy -q missing.xyz 2>&1 >/dev/null | grep -c missing.xyz
"$AIMNET" energy --json -q three.xyz | grep -c 'odd number of electrons'
