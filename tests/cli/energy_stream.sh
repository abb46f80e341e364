# SPDX-License-Identifier: MIT
# 10,000 frames in bounded memory: not more than a few MB above what 1,000 frames take.
awk 'BEGIN {for (f = 0; f < 10000; f++) printf "3\nframe %d\nO 0 0 0.117790\nH 0 %.6f -0.471161\nH 0 -0.755453 -0.471161\n", f, 0.7 + f * 1e-5}' >many.xyz
head -n 5000 many.xyz >few.xyz
few=$("$PEAK" "$AIMNET" energy --json --forces few.xyz)
many=$("$PEAK" "$AIMNET" energy --json --forces many.xyz)
[ "$many" -lt $((few + few / 4 + 16384)) ] || echo "1000 frames: $few kB, 10000 frames: $many kB"
"$AIMNET" energy many.xyz | tail -n 1
"$AIMNET" energy --json many.xyz | awk -F'[:,]' '$4 != NR - 1 {print "out of order: " $0}'
