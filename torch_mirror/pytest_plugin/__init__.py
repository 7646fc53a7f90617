"""The pytest plugin: fixtures ``check`` and ``verify``, ``torch_mirror.parametrize``, a summary at the end.

pytest loads ``plugin`` in every run, also where nobody asks for it. So it imports neither NumPy nor torch; what judges
is imported by the first test that uses it.
"""
