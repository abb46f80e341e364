# SPDX-License-Identifier: MIT
# What a training left becomes a model file, by the reference's arguments; TorchScript of old releases becomes a model with external
# parts; a checkpoint is used as it is with the YAML of its training.
E=$SOURCE/tests/golden/export
"$AIMNET" export "$E/both.weights.pt" a.pt --model "$E/both.yaml" --sae "$E/atoms.sae"
"$AIMNET" export "$E/both.weights.pt" hf/ --model "$E/both.yaml" --sae "$E/atoms.sae" --no-dispersion
"$AIMNET" export -q "$E/both.weights.pt" a.pt -m "$E/both.yaml" -s "$E/atoms.sae"
"$AIMNET" inspect --yaml a.pt | tail -n 7
"$AIMNET" inspect --yaml "$MODELS/script_nse.jpt" >nse.yaml
"$AIMNET" convert -q "$MODELS/script_nse.jpt" nse.yaml b.pt
"$AIMNET" convert "$MODELS/script_nse.jpt" c.pt
cmp b.pt c.pt
try() {
    "$AIMNET" "$@" 2>&1
    echo "= $?"
}
try export "$E/both.weights.pt" d.pt --model "$E/both.yaml" --sae "$E/atoms.sae" --no-coulomb
try export "$E/both.weights.pt" d.pt --model "$E/both.yaml" --sae "$E/atoms.sae" --no-coulomb --needs-coulomb
try export "$E/both.weights.pt" d.pt --model "$E/both.yaml"
try export "$E/both.weights.pt" d.pt --model "$E/both.yaml" --sae "$E/atoms.sae" --model-import-path mine.Module
try export "$DATA/water.xyz" d.pt --model "$E/both.yaml" --sae "$E/atoms.sae"
ls
# a checkpoint as it is, and what two files say differently
"$AIMNET" energy --json -m "$E/coulomb.weights.pt" --config "$E/coulomb.yaml" "$DATA/water.xyz" | grep -c '"method":"embedded"'
"$AIMNET" inspect --config "$E/coulomb.yaml" "$E/coulomb.weights.pt" | head -n 2 | tail -n 1
try energy -m "$E/coulomb.weights.pt" "$DATA/water.xyz"
try energy -m "$MODELS/base.pt" --config "$E/coulomb.yaml" "$DATA/water.xyz"
try inspect a.pt --diff hf
try inspect b.pt --diff c.pt
try inspect --member 1 "$MODELS/hf_base" --diff "$MODELS/base.pt"
try inspect a.pt --diff "$DATA/water.xyz"
