# SPDX-License-Identifier: MIT
# Several structures, one of them hopeless: input order, exit status 1, and the file of -o has the others.
cp "$DATA/methyl.xyz" "$DATA/overlap.xyz" "$MOLECULES/ethanol.xyz" .
"$AIMNET" opt methyl.xyz overlap.xyz ethanol.xyz -o out.xyz >table 2>err
echo "= $?"
sed 's/  *[0-9][0-9]*  *\(-[0-9]*\.[0-9][0-9][0-9]\)[0-9]*  *0\.[0-9]*/ N \1/; s/; .*/; N gradients/' table
grep -c energy= out.xyz
grep -o 'overlap: [0-9.]* A' err
