"""STImage-Bench: expression by slides dealt 8:1:1, as STFlow and others report it."""
