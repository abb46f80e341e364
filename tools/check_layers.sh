#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Checks the rules of docs/architecture.md that a text search can check. Usage: tools/check_layers.sh [ROOT]
#
# Errors (exit 1): a folder of src/ includes a folder above it; point includes more than <math.h>; io includes more than base and
# data; net and term include each other; apps include internals; intrinsics, threads or device headers outside backend/ and
# base/threads.c; output, exit or allocation calls inside the library; a missing licence line; leftover markers.
# Warnings (exit 0): files, headers and functions beyond their budgets. Generated files, marked in their first lines, have none.
set -eu
cd "${1:-$(dirname "$0")/..}"

find src apps include plugins bench tests \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.def' -o -name '*.cpp' -o -name '*.S' \) \
    -type f 2>/dev/null | LC_ALL=C sort | LC_ALL=C xargs awk '
BEGIN {
    n_layers = split("base point backend data io model fetch nlist net term calc opt vib train api", layer, " ")
    for (i = 1; i <= n_layers; i++)
        rank[layer[i]] = i
    allocation = "(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|aligned_alloc|strdup|strndup)[ \t]*\\("
    output = "(^|[^A-Za-z0-9_.>])(printf|vprintf|puts|putchar|perror|exit|_exit|_Exit|quick_exit|abort)[ \t]*\\("
    stream = "(^|[^A-Za-z0-9_])(stdout|stderr)([^A-Za-z0-9_]|$)"
    marker = "(^|[^A-Za-z])(TO" "DO|FIX" "ME|XX" "X|HA" "CK)([^A-Za-z]|$)"
}
function error(text) { printf "%s:%d: error: %s\n", FILENAME, FNR, text; errors++ }
function warning(text) { printf "%s:%d: warning: %s\n", FILENAME, FNR, text; warnings++ }

function finish_file() {
    if (file == "")
        return
    files++
    if (!generated && lines > budget) {
        printf "%s: warning: %d lines, the budget is %d\n", file, lines, budget
        warnings++
    }
    if (!generated && wide) {
        printf "%s: warning: %d lines wider than 100 columns: run make format\n", file, wide
        warnings++
    }
}

# The line without comments and string contents; block comments may span lines.
function strip(line,    out, i, c, two) {
    out = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        two = substr(line, i, 2)
        if (in_comment) {
            if (two == "*/") { in_comment = 0; i++ }
        } else if (two == "/*") {
            in_comment = 1
            i++
        } else if (two == "//") {
            break
        } else if (c == "\"" || c == "\047") {
            out = out c c
            for (i++; i <= length(line) && substr(line, i, 1) != c; i++)
                if (substr(line, i, 1) == "\\")
                    i++
        } else {
            out = out c
        }
    }
    return out
}

function check_include(line,    name, quoted, target) {
    if (!match(line, /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]*[>"]/))
        return
    name = substr(line, RSTART, RLENGTH)
    quoted = name ~ /"/
    gsub(/^[^<"]*[<"]|[>"]$/, "", name)
    if (top == "src" || top == "apps") {
        if (name ~ /^(cuda|cuda_runtime|cublas|cufft|cusolver|nccl|immintrin|x86intrin|emmintrin|arm_neon|omp|pthread)[a-z_0-9]*\.h$/ &&
            folder != "backend" && FILENAME != "src/base/threads.c")
            error("<" name "> belongs to src/backend and src/base/threads.c")
    }
    if (top == "apps" && quoted && name ~ /\//)
        error("\"" name "\": programs see only the public headers")
    if (top != "src")
        return
    if (folder == "point" && !quoted && name != "math.h")
        error("<" name ">: point includes only <math.h>")
    if (!quoted || name ~ /^aimnet[a-z_]*\.h$/)
        return
    if (name !~ /\//) {
        error("\"" name "\": write \"folder/file.h\"")
        return
    }
    target = substr(name, 1, index(name, "/") - 1)
    if (!(target in rank))
        error("\"" name "\": unknown folder " target)
    else if (rank[target] > rank[folder])
        error("\"" name "\": " folder " stands below " target " and must not know it")
    else if (folder == "point" && target != "point")
        error("\"" name "\": point includes only its own headers")
    else if (folder == "io" && target != "io" && target != "base" && target != "data")
        error("\"" name "\": io includes only base and data")
    else if (folder == "term" && target == "net")
        error("\"" name "\": net and term do not know each other")
}

function check_code(code) {
    if (top != "src")
        return
    if (code ~ output)
        error("the library never prints and never ends the program: return AIM_FAIL(...)")
    if (code ~ stream)
        error("the library never prints")
    if (code ~ allocation && FILENAME != "src/base/alloc.c")
        error("memory comes from aim_new (base/alloc.h) or an arena")
}

function check_function(    length_) {
    if ($0 ~ /^\{/) {
        start = FNR
    } else if ($0 ~ /^\}/ && start) {
        length_ = FNR - start
        if (!generated && length_ > 100)
            warning("function of " length_ " lines, the budget is 100")
        start = 0
    }
}

FNR == 1 {
    finish_file()
    file = FILENAME
    split(file, part, "/")
    top = part[1]
    folder = top == "src" ? part[2] : ""
    budget = file ~ /\.h$/ ? (top == "include" ? 450 : 200) : 600
    in_comment = start = generated = lines = wide = 0
    if (top == "src" && !(folder in rank))
        error("src/" folder " is not a layer: see docs/architecture.md")
    if ($0 !~ /SPDX-License-Identifier: MIT/ && tolower($0) !~ /generated/)
        error("the first line is not the licence line (SPDX)")
}
FNR <= 3 && tolower($0) ~ /generated (by|from|with)/ { generated = 1 }
{
    lines = FNR
    wide += length($0) > 100
    check_include($0)
    if ($0 ~ marker)
        error("leftover marker")
    check_code(strip($0))
    check_function()
}
END {
    finish_file()
    printf "%d files, %d errors, %d warnings\n", files, errors, warnings
    exit errors > 0
}'
