# SPDX-License-Identifier: MIT
# A reader that leaves early (head) ends the run without a word.
for i in $(seq 300); do cat "$DATA/water.xyz"; done >many.xyz
{ "$AIMNET" energy --json --forces --batch-atoms 30 many.xyz 2>message; echo $? >status; } | head -n 1 | cut -d, -f1-3
cat message status
