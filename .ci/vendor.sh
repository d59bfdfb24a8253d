#!/usr/bin/env bash
# Fetches again, with npm, what the explorer's page carries: d3 and onnxruntime-web; their hashes are compared.
set -euo pipefail
static="$(cd "$(dirname "$0")/.." && pwd)/microvae/app/static"
cd "$(mktemp -d)"
npm pack --silent d3@7.9.2 onnxruntime-web@1.30.0 > /dev/null
mkdir d3 ort
tar xzf d3-7.9.2.tgz -C d3
tar xzf onnxruntime-web-1.30.0.tgz -C ort
cp d3/package/dist/d3.min.js ort/package/dist/ort.wasm.bundle.min.mjs "$static"
gzip -9 -n -c ort/package/dist/ort-wasm-simd-threaded.wasm > "$static/ort-wasm-simd-threaded.wasm.gz"
cd "$static"
sha256sum -c THIRD_PARTY.sha256
