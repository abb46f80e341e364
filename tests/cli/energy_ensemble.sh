# SPDX-License-Identifier: MIT
# Several models: mean and standard deviation; identical members deviate by nothing, different ones do.
cd "$MOLECULES" || exit 1
run() { "$AIMNET" energy --json "$@" water.xyz | sed -E 's,-?[0-9]+[.][0-9]{5\,}(e-?[0-9]+)?,X,g'; }
run --charges -m default --model=default
run -m default -m "$MODELS/base.pt" | sed "s|$MODELS|MODELS|"
run --forces -m default -m default | grep -c '"forces_std":\[\[0,0,0\],\[0,0,0\],\[0,0,0\]\]'
"$AIMNET" energy -m default -m default water.xyz
