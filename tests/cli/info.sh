# SPDX-License-Identifier: MIT
# Version, build, instruction set, threads and default model.
"$AIMNET" info
"$AIMNET" info --json >json && "$COMPARE" json json && grep -c '"default_model"' json
