#!/bin/sh
# run_fuzzer.sh FUZZER MAKE-SEEDS CORPUS RUNS: a short libFuzzer run from the seeds.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/seeds"
"$2" "$3" "$directory/seeds"
# Seeds stay as they are; what the run finds goes into the first directory and with it.
mkdir "$directory/found"
"$1" -runs="$4" -seed=1 -max_len=4096 -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="${FUZZ_ARTIFACTS:-./}" "$directory/found" "$directory/seeds" \
    > "$directory/log" 2>&1 || { cat "$directory/log"; exit 1; }
tail -n 8 "$directory/log"
