#!/bin/sh
# Runs inside the new tree, as root, behind the set-up of base.
set -eu

# The font cache and matplotlib's own are made once here, or the first figure of each sandbox waits.
fc-cache -f >/dev/null 2>&1 || true
su user -c 'cd && MPLBACKEND=agg python3 -c "import matplotlib.pyplot as plt; plt.figure().savefig(\"/dev/null\", format=\"png\")"'
