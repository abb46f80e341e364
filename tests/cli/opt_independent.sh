# SPDX-License-Identifier: MIT
# The same bits alone, together, with other threads and batch sizes; frozen atoms stay.
set -- "$MOLECULES/ethanol.xyz" "$MOLECULES/benzene.xyz" "$MOLECULES/acetate.xyz" "$DATA/water.xyz"
"$AIMNET" opt --json "$@" >together
"$AIMNET" opt --json --threads 1 --batch-atoms 10 "$@" | cmp - together
for file in "$@"; do "$AIMNET" opt --json "$file"; done | cmp - together
"$AIMNET" opt --json --freeze 0-1,H "$DATA/water.xyz" | grep -o '"evaluations":1,'
