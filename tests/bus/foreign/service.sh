#!/bin/bash
# A service in shell on kcat (README.md beside this file): it only looks, and kcat commits for it.
address=$1 name=$2 truth=$4 inputs=$5
exec kcat -b "$address" -G "$name" -q -u -X auto.offset.reset=earliest -X auto.commit.interval.ms=200 \
    -X session.timeout.ms=3000 -X heartbeat.interval.ms=500 -X fetch.wait.max.ms=50 -X topic.metadata.refresh.interval.ms=1000 \
    -f '{"e":"took","at":"%t/%p/%o"}\n' ${inputs//,/ } >> "$truth"
