#!/bin/sh
# The large cells of the study, on one GPU, in one go; stop it and start it again as you like.
#
#     RIEMAUG_DATA=folder/with/data sh examples/study_gpu.sh
set -eu
for part in table2 table3; do
    riemaug study run --cells "$part" --device cuda --jobs "${JOBS:-4}" --runs 5
done
riemaug study show table2 --format md --out docs/results/table2.md
riemaug study show table3 --format md --out docs/results/table3.md
