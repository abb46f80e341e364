# SPDX-License-Identifier: MIT
# A signal while the reader of standard output is slow: status 130, whole lines to the end of what was computed, no other complaint.
for i in 1 2 3 4 5 6 7 8 9; do cat "$DATA/water.xyz"; done >nine.xyz
for i in 1 2 3 4 5 6 7 8 9; do cat nine.xyz nine.xyz nine.xyz nine.xyz nine.xyz; done >more.xyz
for i in 1 2 3 4 5 6 7 8 9; do cat more.xyz; done >many.xyz
slow() {
    mkfifo out
    timeout -s TERM --preserve-status 1 "$AIMNET" "$@" --json many.xyz >out 2>message &
    { sleep 2; cat; } <out >result
    wait $!
    echo "$1: status $?"
    "$COMPARE" json result && grep -v 'interrupted\|no stationary point' message
    rm out
}
slow energy --batch-atoms 300
slow neighbors --cutoff 3
slow opt
slow freq
