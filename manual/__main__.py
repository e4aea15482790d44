"""Write every generated text anew, and say which ones were stale."""

from __future__ import annotations

from manual.generated import REPOSITORY, texts

for path, text in texts().items():
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(REPOSITORY)}")
