# SPDX-License-Identifier: MIT
# A structure that fails has its object in the JSON of freq, warnings are in it, and files appear where they should: behind a link, into a
# pipe, and without touching anything else.
cp "$DATA/bad_middle.xyz" "$DATA/charge_99.xyz" "$DATA/water.xyz" .
"$AIMNET" freq --json bad_middle.xyz missing.xyz charge_99.xyz >out 2>message
echo "= $?"
"$COMPARE" json out && cut -d, -f1-3 out | sed 's/"error":"\([^:]*\):\([0-9]*\):.*/"error":"\1:\2/; s/cannot.*//'
grep -o '"warnings":.*' out | sed 's/is [0-9.]* eV/is F eV/'
sed '2s/.*/spin=0/' water.xyz >spin.xyz
"$AIMNET" freq --json spin.xyz 2>&1 >/dev/null | grep -o 'spin=0.*'
echo mine >s.svg.tmp
echo old >real.svg
ln -s real.svg s.svg
mkfifo pipe
cat pipe >piped &
"$AIMNET" freq -q --svg s.svg --molden pipe water.xyz >out || echo failed
wait
ls -l | sed -n 's/^\(.\).* \(s.svg -> .*\|pipe\)$/\1 \2/p'
cat s.svg.tmp && tail -1 real.svg && head -1 piped
"$AIMNET" freq -q --svg none/s.svg water.xyz 2>&1 >/dev/null
"$AIMNET" freq -q --scale 1e20 --svg wide.svg water.xyz >out && [ "$(grep -c text-anchor wide.svg)" -lt 30 ] && echo "few marks"
"$AIMNET" freq -q --json -t 1e308 water.xyz 2>&1
"$AIMNET" freq --step 1e-300 water.xyz 2>&1 | head -1
ls *.tmp*
