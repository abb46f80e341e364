# SPDX-License-Identifier: MIT
# The full list of pairs: sorted, zero-based, with shifts and distances for the positions as given; as table and as JSON.
cp "$DATA/water.xyz" "$DATA/crystal.xyz" "$DATA/bad_middle.xyz" .
"$AIMNET" neighbors --cutoff 5 --json water.xyz
"$AIMNET" neighbors --cutoff=1.2 --json crystal.xyz water.xyz
"$AIMNET" neighbors --cutoff 4.05 --json crystal.xyz | grep -o '\[0,0,\[[^]]*\],4\]'
"$AIMNET" neighbors --cutoff 0.5 --json - <water.xyz
"$AIMNET" neighbors --cutoff 1 water.xyz
sed '2s/.*/pbc="T T T" and so on/' water.xyz >free_text.xyz
"$AIMNET" neighbors --cutoff 0.5 --json free_text.xyz 2>&1 >/dev/null
"$AIMNET" neighbors -q --cutoff 0.5 --json free_text.xyz 2>&1 >/dev/null
"$AIMNET" neighbors --cutoff 1.2 --json bad_middle.xyz missing.xyz >out 2>message
echo "= $?"
"$COMPARE" json out && cut -d, -f1-2 out
cut -d: -f1-3 message | sed "s, cannot.*,,"
