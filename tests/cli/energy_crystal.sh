# SPDX-License-Identifier: MIT
# Periodic structures: simple Coulomb becomes DSF with a warning, Ewald and PME are used when asked for, and stress needs a cell.
cp "$DATA/crystal.xyz" "$DATA/water.xyz" .
numbers() { sed -E 's,-?[0-9]+([.][0-9]+)?e-?[0-9]+,X,g; s,-?[0-9]+[.][0-9]{3\,},X,g'; }
"$AIMNET" energy --json crystal.xyz 2>message | numbers
cat message
"$AIMNET" energy --json --coulomb ewald crystal.xyz water.xyz 2>message | numbers
"$AIMNET" energy --json --coulomb pme crystal.xyz water.xyz 2>message | numbers
"$AIMNET" energy --json --stress crystal.xyz water.xyz 2>message | grep -oE '"stress":..-?[0-9.e-]+,|"error"' | cut -c1-11
gzip -c crystal.xyz 2>/dev/null >crystal.xyz.gz || exit 0
"$AIMNET" energy --json -q crystal.xyz.gz | numbers | cut -d, -f1-4
