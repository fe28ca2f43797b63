"""Diagnosis of a machine or a live server: the state of every tuning, and what is wrong.

It reads and never writes. What cannot be read is told with its reason, and nothing here waits for
a file or a command that hangs.
"""

from trimtab.diagnosis.records import DiagnosisView, TuningDiagnosis, TuningState
from trimtab.diagnosis.table import rows

__all__ = ["DiagnosisView", "TuningDiagnosis", "TuningState", "rows"]
