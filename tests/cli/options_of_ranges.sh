# SPDX-License-Identifier: MIT
# Every option of the long-range terms and of the lists changes the result that it should change, and only that one.
energy() { "$AIMNET" energy -q --precision double --json "$@" "$SOURCE/tests/golden/crystals/ice.xyz" | sed -E 's/.*"energy":([^,]*).*/\1/'; }
pairs() { "$AIMNET" neighbors -q --json "$@" | cksum; }
differ() { # name A B
    if [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ]; then echo "$1: has an effect"; else echo "$1: $2 and $3"; fi
}
same() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then echo "$1: no effect, as it should be"; else echo "$1: $2 instead of $3"; fi
}
dsf=$(energy --coulomb dsf)
same "--coulomb simple of a crystal is dsf" "$(energy --coulomb simple)" "$dsf"
ewald=$(energy --coulomb ewald)
differ "--coulomb ewald" "$ewald" "$dsf"
pme=$(energy --coulomb pme)
differ "--coulomb pme" "$pme" "$dsf"
differ "--coulomb-cutoff" "$(energy --coulomb dsf --coulomb-cutoff 9)" "$dsf"
same "--coulomb-cutoff 15" "$(energy --coulomb dsf --coulomb-cutoff 15)" "$dsf"
differ "--dsf-alpha" "$(energy --coulomb dsf --dsf-alpha 0.25)" "$dsf"
same "--dsf-alpha 0.2" "$(energy --coulomb dsf --dsf-alpha 0.2)" "$dsf"
differ "--ewald-accuracy, ewald" "$(energy --coulomb ewald --ewald-accuracy 1e-3)" "$ewald"
same "--ewald-accuracy 1e-8, ewald" "$(energy --coulomb ewald --ewald-accuracy 1e-8)" "$ewald"
differ "--ewald-accuracy, pme" "$(energy --coulomb pme --ewald-accuracy 1e-3)" "$pme"
same "--ewald-accuracy 1e-6, pme" "$(energy --coulomb pme --ewald-accuracy 1e-6)" "$pme"
differ "--d3-cutoff" "$(energy --coulomb dsf --d3-cutoff 9)" "$dsf"
differ "--d3-smoothing" "$(energy --coulomb dsf --d3-smoothing 0)" "$dsf"
same "--d3-smoothing 0.2" "$(energy --coulomb dsf --d3-smoothing 0.2)" "$dsf"
both=$(energy --coulomb dsf --lr-cutoff 9)
same "--lr-cutoff is both" "$both" "$(energy --coulomb dsf --coulomb-cutoff 9 --d3-cutoff 9)"
differ "--lr-cutoff" "$both" "$dsf"
differ "--coulomb-cutoff wins over --lr-cutoff" "$(energy --coulomb dsf --lr-cutoff 9 --coulomb-cutoff 12)" "$both"
differ "--d3-cutoff wins over --lr-cutoff" "$(energy --coulomb dsf --lr-cutoff 9 --d3-cutoff 12)" "$both"
differ "--no-coulomb" "$(energy --no-coulomb)" "$dsf"
differ "--no-dispersion" "$(energy --coulomb dsf --no-dispersion)" "$dsf"
same "--no-coulomb leaves nothing for --coulomb" "$(energy --no-coulomb --coulomb ewald)" "$(energy --no-coulomb)"
same "--threads" "$(energy --coulomb dsf --threads 1)" "$dsf"
same "--batch-atoms" "$(energy --coulomb dsf --batch-atoms 1)" "$dsf"
near=$(pairs --cutoff 3 "$SOURCE/tests/golden/crystals/ice.xyz")
differ "neighbors --cutoff" "$(pairs --cutoff 4 "$SOURCE/tests/golden/crystals/ice.xyz")" "$near"
