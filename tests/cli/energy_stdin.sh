# SPDX-License-Identifier: MIT
# '-' is standard input, by content; a file and standard input mix; --format overrides.
"$AIMNET" energy --json - <"$DATA/water.xyz" >a
"$AIMNET" energy --json - <"$DATA/water.sdf" >b
cat "$DATA/water.xyz" "$DATA/water.xyz" | "$AIMNET" energy --json - "$DATA/water.xyz" >c
"$AIMNET" energy --json --format=xyz - <"$DATA/water.xyz" | cmp - a
"$AIMNET" energy --json --format=sdf - <"$DATA/water.xyz" >d && echo wrong
cut -d, -f1-3 a b c | sed "s|$DATA|DATA|"
cut -c1-31 d
