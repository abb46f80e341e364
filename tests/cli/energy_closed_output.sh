# SPDX-License-Identifier: MIT
# Closed standard streams: no results end up in other files, and the command says what is wrong.
"$AIMNET" energy -o kept.xyz "$DATA/water.xyz" >&- 2>message
echo "stdout closed: $?, $(cat message | cut -d: -f1-3)"
ls
"$AIMNET" energy - <&- 2>/dev/null >text
echo "stdin closed: $?"
"$AIMNET" energy "$DATA/water.xyz" 2>&- >text
echo "stderr closed: $?"
