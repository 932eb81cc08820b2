"""The Python suite on a Python without a GIL: `python tests/free_threaded.py python3.14t`.

Builds the wheel of that Python, installs it into an environment of its own under target/, and runs the tests with the
GIL off. An SDK that has no wheel for it is left out, and named. Needs 3.13t or later.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = ROOT / "bindings-python"
TESTS: Final = PYTHON / "tests"
WORK: Final = ROOT / "target" / "free-threaded"
MATURIN: Final = Path(sys.executable).parent / "maturin"
LAST_PYO3_FOR_3_13: Final = "0.28.3"

NEEDED: Final = (
    "pytest",
    "typing_extensions",
    "anthropic>=2,<3",
    "openai>=2,<4",
    "jsonschema>=4.25",
    "tzdata",
)
"""Without them there is nothing to run."""
OPTIONAL: Final = {
    "websockets>=15": (),
    "boto3>=1.44": ("test_wrap_bedrock.py",),
    "cohere>=7,<8": ("test_wrap_cohere.py",),
    "google-genai>=2.33,<4": ("test_wrap_google.py",),
    "mistralai>=3,<4": ("test_wrap_mistral.py",),
    # The receiver of the tests speaks gRPC.
    "grpcio>=1.74 opentelemetry-proto>=1.43 opentelemetry-sdk>=1.43": (
        "test_otel.py",
        "test_wrap_telemetry.py",
    ),
}
"""What may be missing, and the tests that go with it."""

PROBE: Final = """
import sys
import spendrail
spendrail.Guard(config={"mode": "observe"}).close()
sys.exit("`import spendrail` has switched the GIL on" if sys._is_gil_enabled() else 0)
"""


def version(interpreter: str) -> tuple[int, int]:
    """Of a free-threaded Python. Exits if it is none."""
    ask = "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
    told = subprocess.run(
        [interpreter, "-c", ask], capture_output=True, text=True, check=True
    )
    major, minor, is_free = map(int, told.stdout.split())
    if not is_free or (major, minor) < (3, 13):
        sys.exit(f"{interpreter} is no free-threaded Python of 3.13 or later")
    return major, minor


def build(interpreter: str, out: Path, *options: str) -> Path:
    """Builds the wheel of a free-threaded Python. `options` are maturin's."""
    source = ROOT if version(interpreter) >= (3, 14) else with_older_pyo3()
    command = [str(MATURIN), "build", "--quiet", "--no-default-features", *options]
    command += ["--interpreter", interpreter, "--out", str(out)]
    subprocess.run(command, cwd=source / "bindings-python", check=True)
    wheels = out.glob(f"spendrail-*-cp3{version(interpreter)[1]}t-*.whl")
    return max(wheels, key=lambda wheel: wheel.stat().st_mtime)


def with_older_pyo3() -> Path:
    """A copy of the sources whose lock file has the last pyo3 that knows 3.13t."""
    source = WORK / "source"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(
        listed, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(
                ROOT / name, source / name
            )  # with its time: what has not changed is not built again
    pin = [
        "cargo",
        "update",
        "--quiet",
        "--package",
        "pyo3",
        "--precise",
        LAST_PYO3_FOR_3_13,
    ]
    subprocess.run(pin, cwd=source, check=True)
    return source


def environment(interpreter: str) -> tuple[Path, list[str]]:
    """An environment with what there is for this Python, and the tests for which something is missing."""
    python = WORK / "venv" / "bin" / "python"
    if not python.exists() or version(str(python)) != version(interpreter):
        subprocess.run(
            [interpreter, "-m", "venv", "--clear", WORK / "venv"], check=True
        )
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]
    subprocess.run([*pip, *NEEDED], check=True)
    left_out: list[str] = []
    for wanted, tests in OPTIONAL.items():
        done = subprocess.run(
            [*pip, *wanted.split()], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(
                f"left out, as there is no wheel for this Python: {wanted} {' '.join(tests)}",
                flush=True,
            )
            left_out += tests
    return python, left_out


def main(interpreter: str) -> int:
    """Builds, installs, runs. Returns pytest's status."""
    wheel = build(interpreter, WORK / "wheels")
    python, left_out = environment(interpreter)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--no-deps", "--force-reinstall", wheel], check=True)
    # In a folder where the sources are not found instead of the wheel.
    env = {key: value for key, value in os.environ.items() if key != "PYTHON_GIL"}
    subprocess.run([python, "-c", PROBE], cwd=WORK, env=env, check=True)
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::DeprecationWarning",
    ]
    command += ["-c", PYTHON / "pyproject.toml", "--rootdir", PYTHON, TESTS]
    command += [f"--ignore={TESTS / name}" for name in left_out]
    return subprocess.run(
        command,
        cwd=WORK,
        env=env | {"PYTHON_GIL": "0", "PYTHONSAFEPATH": "1"},
        check=False,
    ).returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
