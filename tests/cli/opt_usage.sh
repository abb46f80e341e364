# SPDX-License-Identifier: MIT
# Mistakes in the options of opt are named before anything is computed.
try() {
    "$AIMNET" opt "$@" 2>&1
    echo "= $?"
}
try
try --level finest "$DATA/water.xyz"
try --fix-axes q --cell full "$DATA/water.xyz"
try --pressure 1 "$DATA/water.xyz"
try --smax 1e-3 "$DATA/water.xyz"
try --restart "$DATA/water.xyz"
try -o - "$DATA/water.xyz"
try -o same.xyz --trajectory same.xyz "$DATA/water.xyz"
try --fmax 0 "$DATA/water.xyz"
try --freeze 0,7 "$DATA/water.xyz" | grep -o 'aimnet.*freeze.*\|= .*' | sed 's/aimnet: .*: --/--/'
try --freeze Xx "$DATA/water.xyz" | grep -o -- '--freeze.*\|= .*'
try -o water.cif "$DATA/water.xyz" | grep -o 'water.cif: CIF.*only\|^= .*\|^ *0 .*'
try --cell full "$DATA/water.xyz" | grep -o 'the cell cannot.*\|= .*'
# What is wrong with a structure is said with the table too, once; POSCAR takes the first of two.
"$AIMNET" opt --mult 2 "$DATA/water.xyz" "$DATA/water.xyz" 2>&1 >/dev/null | grep -o 'multiplicity 2 .*'
"$AIMNET" opt --level loose -o two.vasp "$SOURCE/tests/golden/structures/urea.cif" "$SOURCE/tests/golden/structures/urea.cif" >/dev/null 2>err
echo "= $?"
grep -o 'method simple.*DSF\|POSCAR holds one structure' err
sed -n '6,7p' two.vasp
