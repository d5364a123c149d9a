# For ./test and .ci/run: prints each step as it starts, and at the end the time of each.
step_names=() step_starts=()

step() { # NAME
  step_names+=("$1") step_starts+=("$SECONDS")
  printf '\n=== %s (%s)\n' "$1" "$(date -u +%T)"
}

# Prints the seconds of each step so far, including the current one.
steps_took() {
  local i end=$SECONDS
  echo "seconds:"
  for ((i = 0; i < ${#step_names[@]}; i++)); do
    printf '  %5d  %s\n' $((${step_starts[i + 1]:-end} - step_starts[i])) "${step_names[i]}"
  done
  printf '  %5d  total\n' "$end"
}
