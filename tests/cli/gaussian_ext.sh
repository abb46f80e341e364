# SPDX-License-Identifier: MIT
# Gaussian's keyword External: fixed columns in and out, second derivatives included; failures reach the message file.
"$AIMNET" gaussian-ext R "$DATA/external/Gau-1.EIn" out.1 msg fchk matel && "$AIMNET" gaussian-ext R "$DATA/external/Gau-2.EIn" out.2 msg
awk '{print length($0)}' out.1 | uniq -c
awk '{print length($0)}' out.2 | uniq -c
"$AIMNET" energy --json --charge -1 "$DATA/external/job_EXT.xyz" | sed 's/.*"energy":\([-0-9.]*\).*/\1/' |
    awk '{printf "%.7f\n", $1 / 27.211386024367243}' >expected
sed -n 1p out.1 | cut -c1-20 | sed 's/D/E/' | awk '{printf "%.7f\n", $1}' | cmp - expected
# the last force constant is the slope of the last gradient component
h=0.001
for sign in - +; do
    awk -v h="$sign$h" 'NR == 8 {$0 = substr($0, 1, 50) sprintf("%20.12f", substr($0, 51, 20) + h) substr($0, 71)} {print}' \
        "$DATA/external/Gau-1.EIn" >moved
    "$AIMNET" gaussian-ext --precision double R moved moved.out
    tail -1 moved.out | cut -c41-60 | sed 's/D/E/'
done | awk -v h=$h 'NR == 1 {a = $1} NR == 2 {printf "%.5f\n", ($1 - a) / (2 * h)}' >slope
tr -d '\n' <out.2 | sed 's/.*\(.\{20\}\)$/\1/; s/D/E/' | awk '{printf "%.5f\n", $1}' | cmp - slope
refuse() {
    "$AIMNET" gaussian-ext R input out.3 message 2>/dev/null
    echo "= $?: $(cat message)"
    rm -f message
}
sed '3s/0.000000000000$/0.500000000000/' "$DATA/external/Gau-1.EIn" >input && refuse
sed '3s/^         6/         0/' "$DATA/external/Gau-1.EIn" >input && refuse
sed '4s/^         8/        -8/' "$DATA/external/Gau-1.EIn" >input && refuse
sed '1s/ 7 / 9 /' "$DATA/external/Gau-1.EIn" >input && refuse
sed '1s/ 1$/ x/' "$DATA/external/Gau-1.EIn" >input && refuse
: >input && refuse
echo '2000000000         1         0         1' >input && refuse
"$AIMNET" gaussian-ext R "$DATA/external/Gau-1.EIn" none/out message 2>/dev/null
echo "= $?: $(cat message)"
"$AIMNET" gaussian-ext --device gpu R "$DATA/external/Gau-1.EIn" out.4 message 2>/dev/null
echo "= $?: $(cat message)"
