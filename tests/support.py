"""What tests of several parts share; no test lives here."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The clone: where the top-level packages lie."""
