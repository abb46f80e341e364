# SPDX-License-Identifier: MIT
# Help of every command fits 80 columns and names every option and every letter once; commands that do not exist are absent.
set -e
for command in '' $("$AIMNET" help | sed -n 's/^  \([a-z_-]*\) .*/\1/p'); do
    "$AIMNET" help $command >text
    [ -z "$command" ] || "$AIMNET" $command --help | cmp - text
    [ -z "$command" ] || "$AIMNET" $command -h | cmp - text
    awk -v c="$command" 'length($0) > 80 {print c ": too long: " $0}' text
    sed -n 's/^ *\(-., \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p' text | sort | uniq -d
    sed -n 's/^  \(-[a-zA-Z]\), .*/\1/p' text | sort | uniq -d | sed "s/^/$command: twice: /"
    grep -E 'TODO' text || true
done
"$AIMNET" --help >long
"$AIMNET" -h | cmp - long
"$AIMNET" help | cmp - long
grep -E '^  (md|scan|train)' long || true
"$AIMNET" --version
