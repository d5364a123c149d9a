"""Figures are of the binary that ships: any other profile is refused."""

import subprocess


def require(binary):
    """Ends with an error unless `binary` is an elbow of the profile `release`."""
    try:
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as failure:
        raise SystemExit(f"{binary}: cannot ask for its version: {failure}") from None
    if version.endswith("(release)"):
        return
    # A binary from before `--version` told the profile has no parentheses.
    if "(" not in version:
        print(f"{binary}: {version} does not say which profile it is built with")
        return
    raise SystemExit(f"{binary}: {version} is not the profile that ships; expected (release): cargo build --release -p elbow")
