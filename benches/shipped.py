"""Refuses to measure a binary of any other profile than the one that ships."""

import subprocess


def require(binary):
    """Exits with an error unless `binary` was built with the profile `release`."""
    try:
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as failure:
        raise SystemExit(f"{binary}: `--version` failed: {failure}") from None
    if version.endswith("(release)"):
        return
    # `--version` of an older binary does not print the profile.
    if "(" not in version:
        print(f"{binary}: {version} does not report its build profile")
        return
    raise SystemExit(f"{binary}: {version} is not the profile that ships; expected (release): cargo build --release -p elbow")
