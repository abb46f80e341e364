# SPDX-License-Identifier: MIT
# Output that cannot be written is an error, in every command and every way of printing.
[ -c /dev/full ] || exit 0
for arguments in "energy $DATA/water.xyz" "energy --json $DATA/water.xyz" "help" "--version" "info" "inspect default" "help --man"; do
    "$AIMNET" $arguments >/dev/full 2>message && echo "$arguments: status 0"
    grep -q 'standard output: cannot write' message || { echo "$arguments:"; cat message; }
done
"$AIMNET" energy --quiet -o /dev/full "$DATA/water.xyz" >/dev/null 2>message && echo "-o: status 0"
grep -q '/dev/full' message || cat message
