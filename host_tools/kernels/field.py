def source():
    return ""
