# SPDX-License-Identifier: MIT
# SIGINT: status 130, what was finished is printed, the file of -o keeps its old content, nothing else is left behind.
echo old >out.xyz
mkfifo in
{ cat "$DATA/water.xyz"; echo; sleep 20; } >in 2>/dev/null &
feeder=$!
timeout -s INT --preserve-status 2 "$AIMNET" energy --json -o out.xyz - <in >result 2>message
echo "status $?"
kill $feeder 2>/dev/null
cut -d, -f1-3 result
cat message out.xyz
ls
