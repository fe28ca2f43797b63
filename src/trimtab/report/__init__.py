"""Reports of a study: tables for the terminal, and one self-contained HTML file.

Only the record is imported here; ``text``, ``figures`` and ``html`` bring their libraries.
"""

from trimtab.report.study import Study

__all__ = ["Study"]
