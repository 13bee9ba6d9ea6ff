#!/usr/bin/env bash
# Builds once, then runs the tests in stages and closes with a summary; exits 1 if anything failed.
#
# Usage: run-tests.sh [STAGE…]     stages: unit tasks integration end-to-end examples (all, unless named), faults (a part of end-to-end)
set -uo pipefail
cd "$(dirname "$0")/.."
export APUS_STRICT=${APUS_STRICT:-1}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(unit tasks integration end-to-end examples)

logs=.build/test-logs
mkdir -p "$logs"
started=$SECONDS
summary=()
failures=()
passed=0 failed=0

scripts/build.sh debug --build-tests || {
    echo '== the build failed, no test was run'
    echo '0 passed, 1 failed'
    exit 1
}

# note STAGE STATUS PASSED FAILED SECONDS: one line of the summary. A stage that ran nothing has failed, whatever its exit status.
note() {
    local stage=$1 status=$2 good=$3 bad=$4 seconds=$5 verdict=ok
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    if [ $((good + bad)) -eq 0 ]; then bad=1; fi
    if [ "$bad" -gt 0 ]; then verdict=FAILED; fi
    passed=$((passed + good)) failed=$((failed + bad))
    summary+=("$(printf '   %-12s %-6s %5d passed %4d failed %5d s   %s' "$stage" "$verdict" "$good" "$bad" "$seconds" "$logs/$stage.log")")
}

# remember STAGE LINE…: what failed, to be said once more under the summary: who sees only a log's end sees why.
remember() {
    local stage=$1 line
    shift
    while IFS= read -r line; do
        [ -z "$line" ] || failures+=("   $stage: ${line:0:400}")
    done <<<"$*"
}

# swift_tests STAGE ARGUMENT…: runs a part of the Swift tests. Shows what failed as it happens; the whole is in the log.
swift_tests() {
    local stage=$1 begun=$SECONDS status log=$logs/$1.log
    shift
    echo "== $stage tests"
    swift test --skip-build --disable-xctest "$@" >"$log" 2>&1 &
    local pid=$!
    wait "$pid"
    status=$?
    # The runner's closing line: "Test run with 12 tests in 3 suites passed after …" or "… failed after … with 2 issues."
    # Of a scenario, what failed and the seed that repeats its choices.
    grep -aE '^. (Test|Suite) .* (recorded an issue|failed after)|Test run with|^ *↳|error:|^ *(FAILED: |-- seed )' "$log" | cut -c 1-2000 | tail -n 80
    local total bad
    total=$(grep -aoE 'Test run with [0-9]+ tests?' "$log" | grep -oE '[0-9]+' | awk '{ sum += $1 } END { print sum + 0 }')
    bad=$(grep -acE '^. Test .* failed after' "$log")
    remember "$stage" "$(grep -aE '^. Test .* recorded an issue|^ *(FAILED: |-- seed )' "$log" | head -n 12)"
    if grep -qaE '^. Test .* skipped' "$log" && [ "${CI:-}" = true ]; then
        echo "a skipped test fails CI:" && grep -aE '^. Test .* skipped' "$log"
        remember "$stage" "$(grep -aE '^. Test .* skipped' "$log")"
        status=1
    fi
    # A run that died (a trap, a signal) has no closing line.
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then tail -n 60 "$log"; fi
    note "$stage" "$status" $((total > bad ? total - bad : 0)) "$bad" $((SECONDS - begun))
}

examples() {
    local begun=$SECONDS log=$logs/examples.log status=0
    echo '== examples'
    scripts/test-examples.sh >"$log" 2>&1 || status=$?
    grep -aE '^(ok|not ok) ' "$log"
    if [ "$status" -ne 0 ]; then tail -n 60 "$log"; fi
    remember examples "$(grep -aE '^not ok ' "$log" | head -n 12)"
    note examples "$status" "$(grep -ac '^ok ' "$log")" "$(grep -ac '^not ok ' "$log")" $((SECONDS - begun))
}

for stage in "${stages[@]}"; do
    case $stage in
    # All tests of a run begin at once, and their time limits with them: those of the worker, a third of the work, on their own.
    unit) swift_tests unit --skip '^(IntegrationTests|EndToEndTests|TaskWorkerTests)\.' ;;
    tasks) swift_tests tasks --filter '^TaskWorkerTests\.' ;;
    integration) swift_tests integration --filter '^IntegrationTests\.' ;;
    end-to-end) swift_tests end-to-end --filter '^EndToEndTests\.' ;;
    faults) swift_tests faults --filter '^EndToEndTests\..*/Faults/' ;;
    examples) examples ;;
    *)
        echo "run-tests.sh: no stage '$stage'" >&2
        exit 64
        ;;
    esac
done

echo
echo "== summary, $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
printf '%s\n' "${summary[@]}"
if [ ${#failures[@]} -gt 0 ]; then
    printf '\n== what failed\n'
    printf '%s\n' "${failures[@]}"
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
