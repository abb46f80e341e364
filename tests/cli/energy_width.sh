# SPDX-License-Identifier: MIT
# Every line of every table fits 80 columns.
cd "$MOLECULES" || exit 1
wide() {
    "$AIMNET" energy "$@" | awk 'length($0) > 80 {print length($0) ": " $0}'
}
wide *.xyz
wide --forces --charges --dipole --quadrupole --terms --outputs water.xyz taxol.xyz
wide --precision double --forces --charges --dipole --terms water.xyz
wide -m default -m default *.xyz
wide -m default -m default --forces --charges water.xyz
wide -m ../models/nse.pt -m ../models/nse.pt --forces --charges --dipole water.xyz
wide --coulomb dsf --coulomb-cutoff 12.5 --d3-cutoff 17.5 --precision double water.xyz
echo done
