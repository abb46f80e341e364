# SPDX-License-Identifier: MIT
# A model goes from one format to the others and back: the same energies to the last digit, the same bytes of the .pt file. What
# fails leaves no file.
energy() { "$AIMNET" energy --json --forces --charges -m "$1" "$DATA/water.xyz" | sed 's/"model":"[^"]*",//'; }
"$AIMNET" convert "$MODELS/nse.pt" a.pt
"$AIMNET" convert a.pt b.safetensors
"$AIMNET" convert --into 3 b.safetensors c/
"$AIMNET" convert -q --member 3 c d.pt
"$AIMNET" convert default - >e.pt && "$AIMNET" inspect --json e.pt | grep -c '"format": *"v2-pt"'
ls . c
cmp a.pt d.pt && cmp b.json c/config.json && cmp b.safetensors c/ensemble_3.safetensors
energy "$MODELS/nse.pt" >0
for m in a.pt b.safetensors c/ensemble_3.safetensors d.pt; do energy $m | cmp - 0; done
rm -r c
"$AIMNET" convert --member 1 "$MODELS/hf_base" f.pt && "$AIMNET" inspect f.pt | head -n 2
rm f.pt
try() {
    "$AIMNET" convert "$@" 2>&1
    echo "= $?"
}
cp a.pt old.pt
try "$DATA/water.xyz" old.pt
cmp a.pt old.pt
try "$MODELS/aev.pt" g.safetensors
try a.pt none/x.pt
try a.pt
ls
