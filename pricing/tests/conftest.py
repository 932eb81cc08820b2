"""Puts `pricing/` on the path, as when its programs run. Nothing here needs the network."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
