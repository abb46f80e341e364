# SPDX-License-Identifier: MIT
# Files of freq: one animation per mode, a Molden file, a spectrum, a Hessian that reads back to the same bits; JSON is JSON; what is no minimum is
# told so.
golden=$SOURCE/tests/golden/vibrations
awk '$2 == "water" { n = $3; print n "\n"; next } n-- > 0 { print }' "$golden/vibrations.txt" >water.xyz
"$AIMNET" freq water.xyz --json --molden m.molden --animate mode --svg s.svg --write-hessian h.npy >out.json || echo failed
"$COMPARE" json out.json && ls
grep -c . mode002.xyz
grep -n '^\[\|vibration' m.molden
grep -c '<path\|^</svg>' s.svg
"$AIMNET" freq --read-hessian h.npy --write-hessian again.npy water.xyz >table && cmp h.npy again.npy
awk '$2 == "planar_ammonia" { n = $3; print n "\n"; next } n-- > 0 { print }' "$golden/vibrations.txt" >planar.xyz
"$AIMNET" freq planar.xyz | grep -o '^ *1 *-12.*imaginary\|without.*'  | tr -s ' ' | sed 's/-12[0-9.]* .* imag/W imag/'
"$AIMNET" freq "$DATA/water.xyz" 2>&1 >/dev/null | grep -o 'no stationary point.*'
"$AIMNET" freq water.xyz water.xyz --svg two.svg 2>&1 >/dev/null | grep -o 'a second structure'
"$AIMNET" freq planar.xyz --read-hessian h.npy 2>&1 >/dev/null | grep -o 'h.npy: .*'
"$AIMNET" freq water.xyz --read-hessian water.xyz 2>&1 >/dev/null | grep -o 'not a .npy file.*'
"$AIMNET" freq water.xyz >direct && cmp direct table && echo "intensities with a Hessian from a file"
"$AIMNET" freq "$SOURCE/tests/golden/crystals/ammonium_chloride.xyz" --coulomb ewald --svg s.svg 2>&1 >/dev/null | grep -o 'which are left out.*'
"$AIMNET" freq water.xyz --temperature 0 2>&1 >/dev/null | head -1
