#!/usr/bin/env bash
# A gate in CI: decide on an evaluation under the policy of this commit, and say in the job why.
#
#   ci_gate.sh EVALUATION POLICY MODEL [REPORT]
#
# The store is PENSTOCK_URL. Exit code 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE, 2 for wrong usage; a passing fault
# of the store (4) is tried three times: a retry finds the decision that was made. REPORT (gate.xml) is a JUnit report.
set -uo pipefail
if [ "$#" -lt 3 ]; then
    echo "usage: $0 EVALUATION POLICY MODEL [REPORT]" >&2
    exit 2
fi
evaluation=$1 policy=$2 model=$3 report=${4:-gate.xml}

penstock gate check "$policy" || exit 2
for pause in 2 10 0; do
    penstock gate decide "$evaluation" --policy "$policy" --model "$model" --junit "$report"
    code=$?
    [ "$code" -eq 4 ] || break
    sleep "$pause"
done
exit "$code"
