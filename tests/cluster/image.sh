#!/usr/bin/env bash
# Writes the image NAME to OUT.tar in the format of `docker save`: the layers LAYER.tar… from bottom to top, with the entry point COMMAND.
# usage: image.sh OUT.tar NAME COMMAND LAYER.tar…
set -euo pipefail
out=$(realpath -m "$1") name=$2 command=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ids=() files=()
for layer in "$@"; do
  file=${#files[@]}.tar
  ln -s "$(realpath "$layer")" "$work/$file"
  ids+=("\"sha256:$(sha256sum "$layer" | cut -d' ' -f1)\"") files+=("\"$file\"")
done
list() { local IFS=,; echo "$*"; }
printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["%s"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
  "$command" "$(list "${ids[@]}")" >"$work/config.json"
printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":[%s]}]' "$name" "$(list "${files[@]}")" >"$work/manifest.json"
tar -C "$work" --dereference -cf "$out.next" manifest.json config.json $(cd "$work" && ls -- *.tar)
mv "$out.next" "$out"
