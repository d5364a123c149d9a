# For ./test and .ci/run: names the steps as they begin and says at the end how long each took.
step_names=() step_starts=()

step() { # NAME
  step_names+=("$1") step_starts+=("$SECONDS")
  printf '\n=== %s (%s)\n' "$1" "$(date -u +%T)"
}

# The seconds of each step so far, the running one included.
steps_took() {
  local i end=$SECONDS
  echo "seconds:"
  for ((i = 0; i < ${#step_names[@]}; i++)); do
    printf '  %5d  %s\n' $((${step_starts[i + 1]:-end} - step_starts[i])) "${step_names[i]}"
  done
  printf '  %5d  in all\n' "$end"
}
