"""The commands of ``torch-mirror``, a file each."""
