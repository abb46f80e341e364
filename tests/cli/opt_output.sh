# SPDX-License-Identifier: MIT
# The file of -o is left as it was when nothing could be optimised or the run did not come to its end; a trajectory that met a full disk holds
# whole steps, from which a restart goes on.
cp "$DATA/water.xyz" "$DATA/unknown_element.xyz" .
echo old >out.xyz
"$AIMNET" opt -o out.xyz missing.xyz >result 2>message
echo "= $?: $(cat out.xyz)"
mkfifo in
{ cat unknown_element.xyz water.xyz; echo; sleep 20; } >in 2>/dev/null &
feeder=$!
timeout -s INT --preserve-status 2 "$AIMNET" opt --json -o out.xyz - <in >result 2>message
echo "= $?: $(cat out.xyz)"
kill $feeder 2>/dev/null
rm in
"$AIMNET" opt -o out.xyz unknown_element.xyz water.xyz >result 2>message
echo "= $?: $(head -1 out.xyz)"
(
    ulimit -f 2
    "$AIMNET" opt --level tight --trajectory steps.xyz water.xyz 2>message >/dev/null
    echo "= $?: $(cat message | head -1)"
)
tail -1 steps.xyz | grep -c '^H  *[-0-9.e]* [-0-9.e]* [-0-9.e]* [-0-9.e]* [-0-9.e]* [-0-9.e]* [-0-9.e]*$'
"$AIMNET" opt --restart --trajectory steps.xyz water.xyz >result
echo "= $?"
ls
# numbers of structures cost no memory, in whatever order they come
sed '2s/$/ opt_structure=16777214/' water.xyz >far.xyz
sed 's/opt_structure=0/opt_structure=1/' steps.xyz >one.xyz
cat far.xyz one.xyz steps.xyz far.xyz >steps.far.xyz
kilobytes=$("$PEAK" "$AIMNET" opt -q --restart --trajectory steps.far.xyz water.xyz water.xyz)
echo "= $?"
[ "$kilobytes" -lt 200000 ] || echo "$kilobytes kB"
grep -c 'opt_structure=1 opt_step=0' steps.far.xyz
