#!/bin/sh
# usage: echo_kcat.sh ADDRESS NAME IN OUT: kcat as a service that knows nothing of Tidings. It sends what it has at its end.
kcat -b "$1" -X client.id="$2" -X auto.offset.reset=earliest -X auto.commit.interval.ms=200 -u -q -G "$2" "$3" |
    while read -r event; do
        echo "$event" | kcat -b "$1" -X client.id="$2" -P -t "$4"
    done
