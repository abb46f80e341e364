# SPDX-License-Identifier: MIT
# Every output says which method and which parameters were used; options without effect are warnings.
run() { "$AIMNET" energy --json "$@" 2>/dev/null | sed -E 's/.*("coulomb":\{[^}]*\}).*("warnings":.*)\}/\1 \2/'; }
run "$DATA/water.xyz"
run --coulomb dsf "$DATA/water.xyz"
run --coulomb=dsf --coulomb-cutoff 9.5 --dsf-alpha 0.25 "$DATA/water.xyz"
run --coulomb dsf --lr-cutoff 12 "$DATA/water.xyz"
run --coulomb dsf --lr-cutoff 12 --coulomb-cutoff 8 "$DATA/water.xyz"
run --no-coulomb "$DATA/water.xyz"
run --no-coulomb --coulomb simple "$DATA/water.xyz"
run --coulomb-cutoff 9 "$DATA/water.xyz"
run --lr-cutoff 12 "$DATA/water.xyz"
run --no-dispersion --d3-cutoff 9 "$DATA/water.xyz"
run --model "$MODELS/lr_simple.pt" "$DATA/water.xyz"
run --mult 3 "$DATA/water.xyz"
run "$DATA/methyl.xyz"
"$AIMNET" energy --coulomb dsf --no-dispersion --precision double "$DATA/water.xyz" | head -n 1
