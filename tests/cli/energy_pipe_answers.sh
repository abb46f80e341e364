# SPDX-License-Identifier: MIT
# A program that feeds structures through a pipe gets each answer before it sends the next.
mkfifo in out
"$AIMNET" energy --json - <in >out &
exec 3>in 4<out
for i in 1 2 3; do
    { cat "$DATA/water.xyz"; echo; } >&3 # an empty line: the structure is complete
    read -r line <&4
    echo "$line" | cut -d, -f1-3
done
exec 3>&-
cat <&4
wait
