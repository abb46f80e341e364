# SPDX-License-Identifier: MIT
# Not converged: said in so many words, exit status 3; restarted from the trajectory it gets there.
"$AIMNET" opt --steps 2 --trajectory steps.xyz "$MOLECULES/ethanol.xyz" "$MOLECULES/benzene.xyz" >first 2>err
echo "= $?"
grep -c 'not converged after 2 steps' err
grep -c 'NOT converged' first
grep -c opt_structure= steps.xyz
"$AIMNET" opt --restart --trajectory steps.xyz "$MOLECULES/ethanol.xyz" "$MOLECULES/benzene.xyz" --json >second
echo "= $?"
grep -c '"converged":true' second
"$AIMNET" opt --restart --trajectory steps.xyz "$MOLECULES/benzene.xyz" 2>&1 | grep -o 'belongs to other input'
"$AIMNET" opt --restart --trajectory "$MOLECULES/benzene.xyz" "$MOLECULES/benzene.xyz" 2>&1 | grep -o "not a trajectory of 'aimnet opt'"
