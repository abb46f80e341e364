# SPDX-License-Identifier: MIT
# The reference's Hessian of water at its geometry: ASE's wavenumbers and thermochemistry (tests/golden/vibrations), in the table; the Hessian of
# our own differences gives them to 0.1 cm^-1.
golden=$SOURCE/tests/golden/vibrations
awk '$2 == "water" { n = $3; print n "\n"; next } n-- > 0 { print }' "$golden/vibrations.txt" >water.xyz
"$AIMNET" freq --symmetry-number 2 --read-hessian "$golden/water.npy" water.xyz
echo "= $?"
"$AIMNET" freq water.xyz | sed -n 's/^ *[1-3]  *\([0-9.]*\) .*/\1/p'
"$AIMNET" freq --scale 0.5 water.xyz | sed -n 's/^ *[1-3]  *\([0-9.]*\) .*/\1/p'
