"""Penstock in Airflow: open runs, evaluate, gate, register and promote models inside DAGs."""
