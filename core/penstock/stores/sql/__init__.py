"""Records in a SQL database, through SQLAlchemy Core."""
