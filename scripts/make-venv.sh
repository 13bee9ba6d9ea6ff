#!/usr/bin/env bash
# Makes the Python environment FOLDER with the packages of REQUIREMENTS, and those of FILES without what they depend on.
# Usage: make-venv.sh FOLDER REQUIREMENTS [FILES]
set -euo pipefail

folder=$1
requirements=$2
files=${3-}

# The first Python that can make environments: the one in PATH may be a build without ensurepip.
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo 'no python3 with venv found: apt-get install python3-venv' >&2; exit 1; }

echo "== Python packages of $requirements into $folder"
[ -x "$folder/bin/python" ] || "$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
if [ -n "$files" ]; then
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$files"
fi
touch "$folder/installed"
