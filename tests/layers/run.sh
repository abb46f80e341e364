#!/bin/sh
# SPDX-License-Identifier: MIT
# Every rule of tools/check_layers.sh finds its violation in a small made-up tree, and a clean tree passes.
# Usage: run.sh CHECK_LAYERS FOLDER_FOR_TEMPORARY_FILES
set -eu
check=$1
root=$2/layers.$$
trap 'rm -rf "$root"' EXIT
spdx='/* SPDX-License-Identifier: MIT */'

put() { # FILE LINE: a file with the licence line and LINE
    mkdir -p "$root/$(dirname "$1")"
    printf '%s\n%s\n' "$spdx" "$2" > "$root/$1"
}
fresh() {
    rm -rf "$root"
    put src/base/threads.c '#include <pthread.h>'
    put src/base/alloc.c 'void *p = malloc(3); /* printf("x") in a comment, "abort()" too */'
    put src/calc/good.c '#include "net/net.h"'
    put src/net/quoted.c 'const char *s = "exit(1) printf(2) // not a comment"; int x = my_printf(1) + f->abort(2);'
    put apps/main.c '#include "args.h"'
}
failed=0
refused() { # FILE LINE
    fresh
    put "$1" "$2"
    if "$check" "$root" > "$root/log"; then
        echo "accepted: $1: $2"
        failed=1
    fi
}

fresh
"$check" "$root" || { echo "the clean tree was refused"; failed=1; }
refused src/base/a.c '#include "net/net.h"'
refused src/data/a.c '#include "io/zip.h"'
refused src/point/a.h '#include <stdint.h>'
refused src/point/a.h '#include "base/attr.h"'
refused src/io/a.c '#include "point/units.h"'
refused src/term/a.c '#include "net/net.h"'
refused src/net/a.c '#  include  "term/term.h"'
refused src/net/a.c '#include "net.h"'
refused src/net/a.c '#include <immintrin.h>'
refused src/base/a.c '#include <pthread.h>'
refused src/term/a.c '#include <omp.h>'
refused src/calc/a.c '#include <cuda_runtime.h>'
refused src/other/a.c 'int x;'
refused apps/a.c '#include "base/text.h"'
refused src/io/a.c 'x = 1; printf("%d", x);'
refused src/io/a.c 'if (x) exit(1);'
refused src/io/a.c '    abort ();'
refused src/io/a.c 'fprintf(stderr, "x");'
refused src/io/a.c 'p = malloc(10);'
refused src/io/a.c "/* TO""DO later */"
fresh
echo 'int x;' > "$root/src/base/a.c"
"$check" "$root" > /dev/null && { echo "accepted: a file without a licence line"; failed=1; }
fresh
{ echo "$spdx"; seq 700; } > "$root/src/base/long.c"
"$check" "$root" | grep -q 'warning: 701 lines' || { echo "no warning for a long file"; failed=1; }
fresh
{ echo "$spdx"; echo 'int f(void)'; echo '{'; seq 120; echo '}'; } > "$root/src/base/f.c"
"$check" "$root" | grep -q 'function of 121 lines' || { echo "no warning for a long function"; failed=1; }
exit $failed
