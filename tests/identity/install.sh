#!/bin/sh
# Installs the OpenID provider of the tests into the folder $1, unless it is there: the npm package `oidc-provider`
# at the versions of package-lock.json, beside provider.mjs. Needs node and npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
# By a rename: node reads an empty program from a file that is being written, and ends without a word.
cp "$here/provider.mjs" provider.mjs.next
mv provider.mjs.next provider.mjs
if cmp -s "$here/package-lock.json" installed.json; then
    exit 0
fi
cp "$here/package.json" "$here/package-lock.json" .
npm ci --no-audit --no-fund --ignore-scripts >npm.log 2>&1
cp "$here/package-lock.json" installed.json
