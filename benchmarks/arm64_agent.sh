#!/usr/bin/env bash
# The agent end to end on arm64, by emulation: what works, not how fast.
#
#   benchmarks/arm64_agent.sh [FOLDER]
#
# Needs Debian or Ubuntu, apt's package lists of arm64 (dpkg --add-architecture arm64 &&
# apt-get update), qemu-aarch64-static (package qemu-user-static) and this checkout's Python
# ($PYTHON). It unpacks an arm64 Python with numpy and onnxruntime into FOLDER, makes a small bundle,
# runs its agent there under qemu, kills it once half-way, lets it go on, and collects the results
# into a table. qemu 7.2 crashes in the initialisation of onnxruntime 1.31, hence an older one
# (ONNXRUNTIME=1.31.1 for a newer qemu).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${1:-build/arm64}")
python=${PYTHON:-python}
root=$work/root
export PYTHONPATH=$here HWNAS_HOME=$work/home
command -v qemu-aarch64-static >/dev/null || { echo "install qemu-user-static" >&2; exit 2; }
mkdir -p "$work/debs" "$root"

version=$(apt-cache show python3-minimal:arm64 | sed -n 's/^Version: \(3\.[0-9]*\).*/\1/p' | head -1)
[ -n "$version" ] || { echo "no arm64 packages: dpkg --add-architecture arm64 && apt-get update" >&2; exit 2; }
if [ ! -x "$root/usr/bin/python$version" ]; then
  packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
    --no-replaces --no-enhances "python$version:arm64" libstdc++6:arm64 | grep -E '^[a-z0-9].*:arm64$' | sort -u)
  (cd "$work/debs" && apt-get download $packages)
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
fi
packages=$root/site
if [ ! -d "$packages/onnxruntime" ]; then
  "$python" -m pip install -q --target "$packages" --platform manylinux_2_28_aarch64 \
    --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
    --platform manylinux2014_aarch64 --python-version "$version" \
    --only-binary=:all: "numpy<2.3" "onnxruntime==${ONNXRUNTIME:-1.19.2}"
fi

rm -rf "$work/bundle" "$work/home"
"$python" -m hwnas profile bundle --space nasbench201 --input-size 8 --seconds 1 --out "$work/bundle"
there=(env PYTHONPATH="$packages" qemu-aarch64-static -L "$root" "$root/usr/bin/python$version")
cd "$work/bundle"
"${there[@]}" agent.py &
agent=$!
for _ in $(seq 600); do
  [ -s results.json.partial ] && [ "$(wc -l <results.json.partial)" -gt 5 ] && break
  sleep 1
done
kill -9 $agent
wait $agent || true
before=$(wc -l <results.json.partial)
echo; echo "killed after $((before - 1)) rounds; going on"
"${there[@]}" agent.py
cd "$here"
"$python" -m hwnas profile collect "$work/bundle/results.json" --out "$work/table.json" --json |
  "$python" -c "import json, sys; t = json.load(sys.stdin); print(t['target']); assert t['workloads'] == 13"
grep -c aarch64 "$work/table.json"
echo "the agent measured, went on and was collected on emulated arm64"
