#!/usr/bin/env bash
# Rewrites requirements/*.txt from pyproject.toml and requirements/*.in: exact versions with hashes,
# and nothing of the machine that wrote them (no index, no local wheels).
set -euo pipefail
cd "$(dirname "$0")/.."
unset PIP_FIND_LINKS PIP_INDEX_URL PIP_EXTRA_INDEX_URL
compile() {
    local output=$1
    shift
    CUSTOM_COMPILE_COMMAND="make lock" "${PYTHON:-.venv/bin/python}" -m piptools compile --quiet \
        --generate-hashes --strip-extras --allow-unsafe --resolver=backtracking \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        --output-file "requirements/$output" "$@"
}
compile build.txt requirements/build.in
compile runtime.txt pyproject.toml
compile dev.txt --extra dev --constraint requirements/runtime.txt pyproject.toml
compile awscli.txt requirements/awscli.in
