#!/usr/bin/env bash
# Makes or renews .venv with what requirements/$1.txt pins, and the package itself, editable.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

missing() {
    # What the system lacks is installed when we may, else named with the command that brings it.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $1." >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
    else
        echo "$2 is missing. Install it, then run this again:  sudo apt-get install -y $1" >&2
        exit 1
    fi
}

command -v "$python" >/dev/null || missing python3 "Python"
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$("$python" --version) is too old: Coffre needs Python 3.11." \
        "Name a newer one with: make PYTHON=/path/to/python3.11 …" >&2
    exit 1
fi
if ! [ -x .venv/bin/pip ]; then
    "$python" -c 'import venv, ensurepip' 2>/dev/null || missing python3-venv "Python's venv module"
    rm -rf .venv
    "$python" -m venv .venv
fi
echo "Installing what requirements/$1.txt pins into .venv." >&2
pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check)
"${pip[@]}" --require-hashes -r requirements/build.txt
"${pip[@]}" --require-hashes -r "requirements/$1.txt"
"${pip[@]}" --no-deps --no-build-isolation --editable .
