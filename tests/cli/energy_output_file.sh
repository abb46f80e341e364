# SPDX-License-Identifier: MIT
# -o writes extended XYZ that can be read again, only when everything is done, and never half of it.
"$AIMNET" energy --json --forces --charges -o out.xyz "$DATA/bad_middle.xyz" >first 2>/dev/null
echo "status $?"
grep -c . out.xyz
head -n 2 out.xyz | grep -c 'Properties=.*energy='
"$AIMNET" energy --json out.xyz >second
grep -v error first | sed -E 's/.*"energy":([^,]*),.*/\1/' >a
sed -E 's/.*"energy":([^,]*),.*/\1/' second >b
cmp a b
ls
"$AIMNET" energy --quiet -o missing/out.xyz "$DATA/water.xyz" >/dev/null 2>message
echo "status $?"
cut -d: -f1-2 message
"$AIMNET" energy --charge 2 -o charged.xyz "$DATA/water.xyz" >/dev/null
grep -c 'charge=2' charged.xyz
"$AIMNET" energy -o first.xyz "$DATA/water.xyz" >/dev/null && cp first.xyz again.xyz
"$AIMNET" energy -o again.xyz again.xyz >/dev/null && cmp first.xyz again.xyz
# a structure that the format cannot hold costs only itself
{ cat "$DATA/water.xyz"; printf '2\nLattice="9 0 0 0 9 0 0 0 9" pbc="T T T"\nH 0 0 0\nH 0.74 0 0\n'; } >mixed.xyz
"$AIMNET" energy --quiet -o mixed.cif mixed.xyz 2>&1 >/dev/null | grep -o 'CIF holds structures that are periodic along three axes only'
grep -c '^data_' mixed.cif
