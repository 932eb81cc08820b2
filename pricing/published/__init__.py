"""The two published price catalogs that our files are derived from and compared with, behind one shape: `Listing`.

`fetch` installs them beside the build, once. Nothing that Spendrail ships or runs depends on them.
"""

import pathlib
import re
import subprocess
import sys

PUBLISHED = ("genai-prices==0.2.3", "litellm==1.109.1")
# The day on which these two releases were read against the providers' pages they cite.
CHECKED = "2026-11-20"
PUBLISHED_AT = (
    pathlib.Path(__file__).resolve().parent.parent.parent
    / "target"
    / "published-prices"
    / "-".join(re.sub(r"\W", ".", p) for p in PUBLISHED)
)


def fetch():
    """Installs the two packages, once; litellm without what it depends on, we read one file of it."""
    if not PUBLISHED_AT.exists():
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--target"]
        partial = PUBLISHED_AT.with_suffix(".partial")
        genai, litellm = PUBLISHED
        subprocess.run([*pip, str(partial), genai], check=True)
        subprocess.run([*pip, str(partial), "--no-deps", litellm], check=True)
        partial.rename(PUBLISHED_AT)
    if str(PUBLISHED_AT) not in sys.path:
        sys.path.append(str(PUBLISHED_AT))
