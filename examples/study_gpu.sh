#!/bin/sh
# The large cells of the study, on one GPU, in one go; stop it and start it again as you like.
#
#     RIEMAUG_DATA=folder/with/data sh examples/study_gpu.sh
set -u
failed=0
riemaug study run --cells table2 --cells table3 --device cuda --jobs "${JOBS:-4}" --runs 5 || failed=$?
riemaug study show table2 --out docs/results/table2.md
riemaug study show orderings --out docs/results/orderings.md
for split in oasis_paper oasis_stratified; do
    riemaug study show table3 --data "$split" --out "docs/results/table3_$split.md"
done
exit "$failed"
