#!/usr/bin/env bash
# Installs the real clients that tests/clients uses: what Debian has through apt, the others into
# .clients, where they are found again the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
mc_version=v0.0.0-20250313080218-cf909e1063a9

packages=()
for tool in chromium curl prometheus rclone restic s3cmd wrk; do
    command -v "$tool" >/dev/null || packages+=("$tool")
done
command -v s3 >/dev/null || packages+=(libs3-2)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
command -v javac >/dev/null || packages+=(default-jdk-headless)
command -v mvn >/dev/null || packages+=(maven)
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "Missing: ${packages[*]}. Install them, then run this again:" \
            " sudo apt-get install -y ${packages[*]}" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${packages[@]}" >/dev/null
fi

mkdir -p .clients/bin
if ! [ -x .clients/bin/mc ]; then
    # Debian 12's own Go is too old for it.
    command -v go >/dev/null || { echo "mc is built with Go 1.23 or later: install Go first." >&2; exit 1; }
    echo "Building mc (some minutes)." >&2
    GOBIN="$PWD/.clients/bin" CGO_ENABLED=0 go install "github.com/minio/mc@$mc_version"
fi

if ! cmp -s requirements/awscli.txt .clients/aws/requirements.txt; then
    echo "Installing aws-cli." >&2
    rm -rf .clients/aws
    python3 -m venv .clients/aws
    .clients/aws/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements/awscli.txt
    ln -sf ../aws/bin/aws .clients/bin/aws
    cp requirements/awscli.txt .clients/aws/requirements.txt
fi

if ! cmp -s tests/clients/js/package-lock.json .clients/js/package-lock.json; then
    echo "Installing the AWS SDK for JavaScript." >&2
    rm -rf .clients/js
    mkdir -p .clients/js
    cp tests/clients/js/package.json tests/clients/js/package-lock.json .clients/js/
    (cd .clients/js && npm ci --no-audit --no-fund --silent) || { rm -rf .clients/js; exit 1; }
fi

if ! cmp -s tests/clients/java/pom.xml .clients/java/pom.xml; then
    echo "Installing the Amazon S3 Encryption Client for Java." >&2
    rm -rf .clients/java
    mkdir -p .clients/java
    mvn -q -B -f tests/clients/java/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PWD/.clients/java" >&2 || { rm -rf .clients/java; exit 1; }
    cp tests/clients/java/pom.xml .clients/java/pom.xml
fi

# Neither Debian nor a registry has it: tests that need it say so when it is missing.
command -v terraform >/dev/null || echo "terraform is not installed: its tests are left out." >&2
