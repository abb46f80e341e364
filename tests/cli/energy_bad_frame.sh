# SPDX-License-Identifier: MIT
# A bad frame in the middle of a file: a row that says so, the others as usual, exit status 1.
cp "$DATA/bad_middle.xyz" .
"$AIMNET" energy bad_middle.xyz
