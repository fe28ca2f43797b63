"""The notebook of ``examples/`` runs from its first cell to its last."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "study.ipynb"


def test_the_notebook_plots_effects_and_latencies(tmp_path: Path) -> None:
    notebook = nbformat.reads(NOTEBOOK.read_text(), as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "stored without outputs"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert "max-num-seqs" in shown[0][-1]["data"]["text/html"]
    effects, latencies = (outputs[-1]["data"]["application/json"] for outputs in shown[1:])
    assert "max-num-seqs" in effects["data"][0]["y"]
    assert {len(trace["x"]) > 0 for trace in latencies["data"]} == {True}
    assert len(latencies["data"]) >= 2
