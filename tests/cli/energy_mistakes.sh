# SPDX-License-Identifier: MIT
# Everything that can be wrong with an input: one message with file and line, an error object in its place, all others computed.
cp "$DATA"/* .
mkdir folder
"$AIMNET" energy --json water.xyz missing.xyz folder empty.xyz no_atoms.xyz cut_off.xyz nan.xyz far.xyz \
    unknown_element.xyz unsupported.xyz overlap.xyz charge_99.xyz garbage.bin bad_middle.xyz water.sdf >out
echo "status $?"
"$COMPARE" json out && sed -E 's/"energy":[^,]*/"energy":E/' out
