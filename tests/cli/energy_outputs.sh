# SPDX-License-Identifier: MIT
# --outputs names what the model has beyond energy and charges.
cp "$DATA/water.xyz" .
run() { "$AIMNET" energy --json --outputs "$@" water.xyz | sed -E 's/.*("model_outputs":.*\}),"warnings.*/\1/; s/-?[0-9][-+0-9.e]*/X/g'; }
run -m "$MODELS/multipoles.pt"
run -m "$MODELS/d3ts.pt"
run
