"""What the words of a report mean: the source of ``torch-mirror explain`` and of docs/glossary.md. Plain data."""
