# A CIF is read with its symmetry, written as CIF and POSCAR, and both give the energy of the first.
S=$SOURCE/tests/golden/structures
"$AIMNET" energy --quiet --precision double --coulomb ewald --json -o out.cif "$S/benzene.cif" >first.json &&
"$AIMNET" energy --quiet --precision double --coulomb ewald -o out.vasp "$S/benzene.cif" >/dev/null &&
for f in "$S/benzene.cif" out.cif out.vasp; do
    "$AIMNET" energy --quiet --precision double --coulomb ewald --json "$f" | sed 's/.*\("natoms":[^}]*"formula":"[^"]*"\).*"energy":\(-[0-9.]\{13\}\).*/\1 \2/'
done
head -n 1 out.cif
sed -n '6,7p' out.vasp
"$AIMNET" energy --quiet -o bad.cif "$MOLECULES/water.xyz" 2>&1 >/dev/null | grep -c 'write this one as extended XYZ'
test ! -e bad.cif && echo 'no file'
