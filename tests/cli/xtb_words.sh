# SPDX-License-Identifier: MIT
# Command lines of xtb: file first, run types and charge as options; --engrad as CREST's method "generic" calls it.
cp "$MOLECULES/acetate.xyz" "$MOLECULES/ethanol.xyz" "$DATA/methyl.xyz" .
sed -i '2s/.*/no charge here/' acetate.xyz
"$AIMNET" acetate.xyz --chrg -1 --json | cut -d, -f5
"$AIMNET" acetate.xyz -c -1 --engrad -P 1 >out && sed -n 4,8p acetate.engrad && wc -l <acetate.engrad
"$AIMNET" energy --json --forces --charge -1 acetate.xyz | sed 's/.*"energy":\([-0-9.]*\).*/\1/' |
    awk '{printf "%.8f\n", $1 / 27.211386024367243}' >expected
sed -n 8p acetate.engrad | awk '{printf "%.8f\n", $1}' | cmp - expected
"$AIMNET" acetate.xyz --opt tight --chrg -1 >opt && sed -n 2p aimnetopt.xyz | grep -o 'energy=-385.5181\|charge=-1'
grep -o 'largest force below 0.001' opt
"$AIMNET" methyl.xyz --uhf 1 --json | grep -o '"mult":2'
"$AIMNET" ethanol.xyz --opt -o mine.xyz >out && ls mine.xyz
for words in '--ohess' '--opt --engrad' '--uhf x' '--uhf' '--xyzzy'; do
    "$AIMNET" ethanol.xyz $words >out 2>err
    echo "$words = $?: $(sed 1q err)"
done
cat "$DATA/methyl.xyz" "$DATA/methyl.xyz" >two.xyz
"$AIMNET" two.xyz methyl.xyz --engrad -q --uhf 1 >out 2>err
echo "= $?: $(cat err | tail -1)"
ls methyl.engrad
"$AIMNET" energy - --engrad -q <methyl.xyz 2>&1 >/dev/null || true
