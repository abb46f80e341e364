# SPDX-License-Identifier: MIT
# Mistakes in the arguments: one line that names the option, the value and what was expected; status 2; nothing on standard output.
try() {
    "$AIMNET" "$@" 2>&1
    echo "= $?"
}
try eneryg mol.xyz
try mol.xyz
try --json energy mol.xyz
try energy
try energy --forcs mol.xyz
try energy --xyzzy mol.xyz
try energy --out mol.xyz
try energy -z mol.xyz
try energy -é mol.xyz
try energy --model
try energy --model --json mol.xyz
try energy --charge one mol.xyz
try energy --charge 1.0x mol.xyz
try energy --charge nan mol.xyz
try energy --charge 0x10 mol.xyz
try energy --charge '' mol.xyz
try energy --charge ' 1' mol.xyz
try energy --mult 0 mol.xyz
try energy --mult 1.5 mol.xyz
try energy --threads=-2 mol.xyz
try energy --threads 99999999999999999999 mol.xyz
try energy --batch-atoms 0 mol.xyz
try energy --coulomb-cutoff 0 mol.xyz
try energy --d3-smoothing 1.5 mol.xyz
try energy --precision half mol.xyz
try energy --device gpu mol.xyz
try energy --device cuda: mol.xyz
try energy --fast mol.xyz
try energy --fast --device cuda --precision double mol.xyz
try freq --fast --device cuda mol.xyz
try energy --coulomb=p3m mol.xyz
try energy --ewald-accuracy 2 mol.xyz
try energy --hessian mol.xyz
try energy --json=yes mol.xyz
try energy -o - mol.xyz
try energy --output= mol.xyz
try inspect
try inspect a.pt b.pt
try inspect --json --tensors a.pt
try info extra
try help nonsense
try help --man energy
try help --completion tcsh
try scan mol.xyz
mkdir train
try train
try convert --into 2 default out.pt
try convert --member 2 default model.yaml out.pt
try convert --member 2 default out.pt
try inspect --member 2 default
try neighbors mol.xyz
try neighbors --cutoff -1 mol.xyz
