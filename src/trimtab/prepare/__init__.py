"""The guide's preparation as ordered steps: checked, shown, done, undone, and emitted.

A step (`step.Step`, one a file in ``steps/``) reads a machine and says whether it has what the
step is for; what it would change is a value (`change`), which a dry run shows, the journal keeps
and `perform` does; the same as a `recipe` becomes a Dockerfile or a script (``emit/``).
"""
