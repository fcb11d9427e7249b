"""What Airflow loads of us in every process."""
