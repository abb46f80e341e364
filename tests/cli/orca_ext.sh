# SPDX-License-Identifier: MIT
# ORCA's external tool: the energy and gradient of `aimnet energy` in atomic units; what cannot be done is refused.
cp "$DATA/external/job_EXT.xyz" "$DATA/external/job_EXT.extinp.tmp" .
"$AIMNET" orca-ext job_EXT.extinp.tmp && sed '8,/gradient/{/-14/d;}' job_EXT.engrad | sed -n 1,10p
"$AIMNET" energy --json --forces --charge -1 job_EXT.xyz >json
sed 's/.*"energy":\([-0-9.]*\).*/\1/' json | awk '{printf "%.9f\n", $1 / 27.211386024367243}' >expected
sed -n 8p job_EXT.engrad | awk '{printf "%.9f\n", $1}' | cmp - expected
sed 's/.*"forces":\[*\([-0-9.e]*\).*/\1/' json | awk '{printf "%.9f\n", -$1 * 0.5291772105638411 / 27.211386024367243}' >expected
sed -n 12p job_EXT.engrad | awk '{printf "%.9f\n", $1}' | cmp - expected
# the layout that ORCA's interface describes: three blocks, each behind three comment lines, one number a line, nothing else
awk '!/^#/ {print NF}' job_EXT.engrad | sort | uniq -c && awk '{printf "%s", /^#/ ? "#" : "."} END {print ""}' job_EXT.engrad
sed '5s/^1/0/' job_EXT.extinp.tmp >energy.tmp && "$AIMNET" orca-ext energy.tmp && grep -c gradient job_EXT.engrad
"$AIMNET" orca-ext job_EXT.extinp.tmp --charge 0.5 --mult 3 2>&1
sed 's/^[0-9]* *# number of c.*/2000/; 4s/.*/2000/' job_EXT.extinp.tmp >many.tmp && "$AIMNET" orca-ext many.tmp || echo failed
refuse() {
    "$AIMNET" orca-ext input 2>&1
    echo "= $?"
}
(cat job_EXT.extinp.tmp; echo charges.pc) >input && refuse
sed 4d job_EXT.extinp.tmp | sed 's/.xyz/.gone/' >input && refuse
sed 's/^-1/minus one/' job_EXT.extinp.tmp >input && refuse
sed 's/job_EXT.xyz/gone.xyz/' job_EXT.extinp.tmp >input && refuse
head -c 3000 /dev/zero >input && refuse
# dummy and ghost atoms of ORCA
sed 's/job_EXT/ghost/' job_EXT.extinp.tmp >input
sed '4s/C /C: /' job_EXT.xyz >ghost.xyz && refuse
sed '4s/C /DA /' job_EXT.xyz >ghost.xyz && refuse
