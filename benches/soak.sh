#!/bin/sh
# A soak: the real program against `promptbatch simulate`, with all faults of the simulator and 1 % of submissions and polls refused by chance.
#
# sh benches/soak.sh [MINUTES [RATE [PROGRAM]]]: 30 minutes at 150 jobs a second with target/release/promptbatch by default.
# Prints images a second, resident memory and open descriptors once a minute. Exits with 1 when the last third of the time, after a tenth for
# warming up, is slower than 0.95 of the first third, or takes a quarter and 20 MB more memory at its end than at the end of the first third;
# with 2 when it cannot be measured.
set -eu

minutes=${1:-30}
rate=${2:-150}
program=${3:-target/release/promptbatch}
# Looks at the run, each so many seconds after the one before.
every=5
[ -x "$program" ] || { echo "$program is no program: build it first, cargo build --release" >&2; exit 2; }

folder=$(mktemp -d)
server='' run=''
finish() {
    for pid in $run $server; do kill "$pid" 2>/dev/null || true; done
    for pid in $run $server; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 2' INT TERM

port=${PORT:-18429}
faults='429=0.01 500=0.005 cut=0.005 garbage=0.005 truncated=0.005 hang=0.0002 poll-not-found=0.001 task-failed=0.002 task-stuck=0.00002
    task-empty=0.002 image-404=0.002 image-expired=0.002'
set --
for fault in $faults; do set -- "$@" --fault "$fault"; done
"$program" simulate --port "$port" --latency 2s --image-size 32x32 --seed 1 "$@" >"$folder/simulate.log" 2>&1 &
server=$!

# More prompts than the time suffices for, so that the run is measured in full swing.
awk -v n=$((minutes * 60 * rate * 2)) 'BEGIN { for (i = 1; i <= n; i++) print "a cat with the number " i }' >"$folder/prompts.txt"
sleep 1
MODELSCOPE_API_KEY=x "$program" run "$folder/prompts.txt" --out "$folder/out" \
    --base-url "http://127.0.0.1:$port/" --rate "$rate/s" -j $((rate * 10)) --retries 8 --resubmits 8 >"$folder/run.log" 2>&1 &
run=$!

looks=$((minutes * 60 / every))
look=0
printf '%8s %10s %10s %12s\n' second images/s 'memory MB' descriptors
while [ "$look" -lt "$looks" ]; do
    sleep "$every"
    look=$((look + 1))
    kill -0 "$run" 2>/dev/null || { echo "the run ended before its time:" >&2; tail -20 "$folder/run.log" >&2; exit 2; }
    images=$(find "$folder/out" -type f -name '*.png' | wc -l)
    memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$run/status")
    descriptors=$(find "/proc/$run/fd" -mindepth 1 | wc -l)
    echo "$(date +%s) $images $memory $descriptors" >>"$folder/looks"
    [ $((look * every % 60)) -ne 0 ] ||
        tail -13 "$folder/looks" | awk -v at=$((look * every)) '
            NR == 1 { time = $1; images = $2 }
            END { printf "%8d %10.1f %10.1f %12d\n", at, ($2 - images) / ($1 - time), $3 / 1024, $4 }'
done

awk '
    { time[NR] = $1; images[NR] = $2; memory[NR] = $3 }
    END {
        first = int(NR / 10) + 1; third = int((NR - first) / 3)
        if (third < 2) { print "too few looks to judge"; exit 2 }
        a = first + third; b = NR - third
        before = (images[a] - images[first]) / (time[a] - time[first])
        after = (images[NR] - images[b]) / (time[NR] - time[b])
        printf "%.1f images/s in the first third, %.1f in the last; %.1f MB, then %.1f\n", before, after, memory[a] / 1024, memory[NR] / 1024
        if (before <= 0) { print "no images"; exit 2 }
        if (after < 0.95 * before) { print "missed: the rate falls"; exit 1 }
        if (memory[NR] > 1.25 * memory[a] + 20480) { print "missed: memory grows"; exit 1 }
    }' "$folder/looks"
