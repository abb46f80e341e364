# SPDX-License-Identifier: MIT
# What a model file contains, as text and as JSON.
"$AIMNET" inspect default >text && head -n 4 text
"$AIMNET" inspect --tensors default >tensors && grep -c 'afv' tensors
"$AIMNET" inspect --json default >json && "$COMPARE" json json && grep -c '"sha256": *"99128de7a47e9ed372fa5bf8763aaf4d8174dd4185a53a62ec74cb4ad4198dce"' json
"$AIMNET" inspect --yaml default | head -n 1
"$AIMNET" inspect "$MODELS/nse.pt" | grep -c 'two channels\|open shell'
for bad in missing.pt "$DATA/water.xyz" "$DATA/empty.xyz" . /dev/null; do
    "$AIMNET" inspect "$bad" >out 2>message && echo "$bad: status 0"
    [ -s out ] && echo "$bad: output"
    [ "$(wc -l <message)" = 1 ] || cat message
done
AIMNET_CACHE_DIR=$PWD "$AIMNET" energy -m aimnet2 "$DATA/water.xyz" 2>&1
echo "= $?"
