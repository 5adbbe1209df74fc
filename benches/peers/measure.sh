#!/bin/sh
# What a client process costs while it talks to a `wssoak node`: measure.sh PID NODE [SECONDS]
set -eu
pid=$1 node=$2 seconds=${3:-30}

counter() { curl -s "http://$node/wssoak/stats" | grep -o "\"$1\":[0-9]*" | cut -d: -f2; }
# User and system time of all threads so far, in clock ticks.
ticks() { sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'; }
# Memory that is this process's alone, and resident memory, in KiB.
memory() { awk '/^Private_/ { own += $2 } /^Rss:/ { rss = $2 } END { print own, rss }' "/proc/$pid/smaps_rollup"; }

ticks_before=$(ticks) echoed_before=$(counter echoed)
sleep "$seconds"
ticks_after=$(ticks) echoed_after=$(counter echoed)
echo "$(counter open) $((echoed_after - echoed_before)) $((ticks_after - ticks_before)) $(memory)" |
    awk -v hz="$(getconf CLK_TCK)" -v seconds="$seconds" '{
        printf "%d clients, %.0f messages a second, %.1f us CPU a message, %d KiB private, %d KiB resident\n",
            $1, $2 / seconds, ($2 ? $3 * 1e6 / hz / $2 : 0), $4, $5
    }'
