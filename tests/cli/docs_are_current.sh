# SPDX-License-Identifier: MIT
# docs/cli.md and docs/man/aimnet.1 are what the command generates. To renew them:
#     aimnet help --markdown >docs/cli.md; aimnet help --man >docs/man/aimnet.1
"$AIMNET" help --markdown | diff "$SOURCE/docs/cli.md" - &&
"$AIMNET" help --man | diff "$SOURCE/docs/man/aimnet.1" -
