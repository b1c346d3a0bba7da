#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the migrations as a C table. Run by the build: embed.py OUT 0001_name.sql ..."""
import sys
from pathlib import Path

out, files = sys.argv[1], sorted(Path(f) for f in sys.argv[2:])
rows = []
for number, path in enumerate(files, 1):
    if int(path.name[:4]) != number:
        sys.exit(f"{path}: expected migration {number:04}; they are numbered without gaps")
    lines = path.read_text(encoding="ascii").splitlines(keepends=True)
    text = "\n     ".join('"' + line.translate({10: "\\n", 34: '\\"', 92: "\\\\"}) + '"' for line in lines)
    rows.append(f'    {{{number}, "{path.stem}",\n     {text}}},\n')
Path(out).write_text(
    "/* Generated from src/store/schema by embed.py. */\n"
    '#include "store/schema_internal.h"\n\n'
    "const struct schema_migration schema_migrations[] = {\n" + "".join(rows) + "};\n\n"
    f"const size_t schema_migration_count = {len(rows)};\n", encoding="ascii")
