# SPDX-License-Identifier: MIT
# Names with odd characters: JSON stays JSON, the terminal gets no control characters, files may begin with a dash.
name=$(printf 'a"b\\\001\033[31m\377.xyz')
cp "$DATA/water.xyz" "$name"
cp "$DATA/water.xyz" -- -x.xyz
"$AIMNET" energy --json "$name" >out && "$COMPARE" json out && cut -d, -f1 out
"$AIMNET" energy --json -- -x.xyz | cut -d, -f1
{ "$AIMNET" energy "$name"; "$AIMNET" energy "$name.missing" 2>&1; } | LC_ALL=C tr -d -c "\001\033" | wc -c
